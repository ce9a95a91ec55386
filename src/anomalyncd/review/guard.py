"""Who may ask the server: only pages that it served itself, opened with its link."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from anomalyncd.io.http_messages import (
    App,
    Receive,
    Scope,
    Send,
    answer,
    bearer_of,
    headers_of,
    matches,
    read_body,
    refuse,
    replayed,
    with_headers,
)

MOST_BYTES = 8_000_000
"""Longest body of a request; all ids of 500,000 regions are shorter."""
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_REFUSED = "This link is not valid any more; use the link that `anomalyncd review` printed."


class Guard:
    """Lets a request through if it has the token, comes from this machine, and is not too long.

    A page of another site can make a browser send requests to this server. It does not know the
    token, its cookie is not sent along, its origin is another one, and a name that it resolves to
    this machine is none of the hosts.

    Args:
        app: The application behind it.
        token: What the link holds.
        port: On which the server listens; it is part of the hosts and of the name of the cookie.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.cookie = f"anomalyncd-review-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or refuses it in one sentence."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, with_headers(send, _HEADERS))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = headers_of(scope)
        if text.get("host") not in self.hosts:
            await refuse(send, 403, "This server answers only under the address that it printed.")
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] == "GET" and scope["path"] == "/" and self._matches(given):
            value = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            found = [(b"location", b"/"), (b"set-cookie", value.encode())]
            await answer(send, 303, found, b"")
            return
        by_header = self._matches(bearer_of(text))
        if not (by_header or self._matches(_cookie(text.get("cookie", ""), self.cookie))):
            await refuse(send, 403, _REFUSED)
            return
        if scope["method"] not in ("GET", "HEAD") and not self._own_origin(text, by_header):
            await refuse(send, 403, "This request comes from a page of another site.")
            return
        body = await read_body(text, receive, MOST_BYTES)
        if body is None:
            await refuse(send, 413, f"A request may have {MOST_BYTES:,} bytes at most.")
            return
        await self.app(scope, replayed(body, receive), send)

    def _matches(self, given: str) -> bool:
        return matches(given, self.token)

    def _own_origin(self, headers: dict[str, str], by_header: bool) -> bool:
        """Browsers always name the origin of a request that changes something; scripts need not."""
        origin = headers.get("origin")
        if origin is None:
            return by_header
        return origin.removeprefix("http://") == headers["host"] and origin.startswith("http://")


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
