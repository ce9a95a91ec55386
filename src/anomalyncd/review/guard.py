"""Who may ask the server: only pages that it served itself, opened with its link."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

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
            await self._http(scope, receive, _with_headers(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        text = {name: value.decode("latin-1") for name, value in headers.items()}
        if text.get("host") not in self.hosts:
            await _refuse(send, 403, "This server answers only under the address that it printed.")
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] == "GET" and scope["path"] == "/" and self._matches(given):
            value = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            found = [(b"location", b"/"), (b"set-cookie", value.encode())]
            await _answer(send, 303, found, b"")
            return
        by_header = self._matches(text.get("authorization", "").removeprefix("Bearer "))
        if not (by_header or self._matches(_cookie(text.get("cookie", ""), self.cookie))):
            await _refuse(send, 403, _REFUSED)
            return
        if scope["method"] not in ("GET", "HEAD") and not self._own_origin(text, by_header):
            await _refuse(send, 403, "This request comes from a page of another site.")
            return
        body = await _body(text, receive)
        if body is None:
            await _refuse(send, 413, f"A request may have {MOST_BYTES:,} bytes at most.")
            return
        await self.app(scope, _replayed(body, receive), send)

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())

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


async def _body(headers: dict[str, str], receive: Receive) -> bytes | None:
    """Reads the body of a request; None where it is too long."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MOST_BYTES:
        return None
    body = b""
    if not int(length) and "transfer-encoding" not in headers:
        return body
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MOST_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, and then whatever comes, which is the end of the connection."""
    done = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal done
        if not done:
            done = True
            return {"type": "http.request", "body": body, "more_body": False}
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return message

    return replay


def _with_headers(send: Send) -> Send:
    """Adds to every answer what a browser may do with it, unless the answer says so itself."""

    async def added(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            coded = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            further = [one for one in coded if one[0] not in present]
            message = {**message, "headers": [*message["headers"], *further]}
        await send(message)

    return added


async def _refuse(send: Send, status: int, sentence: str) -> None:
    await _answer(
        send, status, [(b"content-type", b"text/plain; charset=utf-8")], sentence.encode()
    )


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
