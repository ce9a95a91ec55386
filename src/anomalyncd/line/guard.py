"""Who may ask the server of a line, how long a request may be, and how long it may take."""

import asyncio
import json
import time
from collections.abc import MutableMapping
from typing import Any

from anomalyncd.io.http_messages import (
    App,
    Headers,
    Receive,
    Scope,
    Send,
    answer,
    bearer_of,
    headers_of,
    length_of,
    matches,
    read_body,
    replayed,
    with_headers,
)
from anomalyncd.line.limits import Limits
from anomalyncd.line.metrics import Metrics

OPEN = frozenset({"/healthz", "/readyz"})
"""Addresses that need no token, and tell nothing."""
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
_BODIES_AT_ONCE = 8
"""How many of the longest bodies are in memory at the same time."""


class Guard:
    """Lets a request through if it may ask, and reads its body before the application does.

    Without a token, only programs of this machine may ask: a request that a page of a browser
    sends has an origin, and a name that resolves to this machine is no address of it.

    Args:
        app: The application behind it.
        token: What every request has to state; None for a server that only this machine reaches.
        limits: The limits.
        metrics: Count every request.
    """

    def __init__(self, app: App, token: str | None, limits: Limits, metrics: Metrics) -> None:
        self.app, self.token, self.limits, self.metrics = app, token, limits, metrics
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or refuses it in one sentence."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            started, status = time.perf_counter(), 500

            async def counted(message: MutableMapping[str, Any]) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self._http(scope, receive, with_headers(counted, _HEADERS))
            finally:
                self.metrics.count(scope["path"], status, time.perf_counter() - started)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        if scope["path"] in OPEN:
            # Its body is not read, so that nobody without the token uses memory.
            await self.app(scope, receive, send)
            return
        if refusal := self._refusal(headers):
            await refuse_json(send, *refusal)
            return
        length = length_of(headers)
        # A body without a length may become as long as the longest one.
        reserved = self.limits.most_bytes if length is None else length
        if "content-length" not in headers:
            reserved = self.limits.most_bytes
        if "content-length" not in headers and "transfer-encoding" not in headers:
            reserved = 0
        if reserved > self.limits.most_bytes:
            await refuse_json(send, 413, self._too_long)
        elif self._held + reserved > _BODIES_AT_ONCE * self.limits.most_bytes:
            busy = "The server is reading as many requests as its memory allows; send it again."
            await refuse_json(send, 429, busy, [(b"retry-after", b"1")])
        else:
            self._held += reserved
            try:
                await self._read(scope, receive, send)
            finally:
                self._held -= reserved

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        reading = read_body(headers_of(scope), receive, self.limits.most_bytes)
        try:
            body = await asyncio.wait_for(reading, self.limits.seconds)
        except TimeoutError:
            late = f"The request was not complete after {self.limits.seconds:g} seconds."
            await refuse_json(send, 408, late, [(b"connection", b"close")])
            return
        if body is None:
            await refuse_json(send, 413, self._too_long)
            return
        await self.app(scope, replayed(body, receive), send)

    @property
    def _too_long(self) -> str:
        return f"A request may have {self.limits.most_bytes:,} bytes at most."

    def _refusal(self, headers: dict[str, str]) -> tuple[int, str, Headers] | None:
        if self.token is not None:
            if matches(bearer_of(headers), self.token):
                return None
            sentence = "This server needs its token: send the header 'Authorization: Bearer TOKEN'."
            return 401, sentence, [(b"www-authenticate", b"Bearer")]
        host = headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name in _LOCAL and "origin" not in headers:
            return None
        return 403, "Without a token, this server answers only programs of its own machine.", []


async def refuse_json(
    send: Send, status: int, sentence: str, headers: Headers | None = None
) -> None:
    """Answers a request with `{"error": sentence}`."""
    body = json.dumps({"error": sentence}).encode()
    further = headers or []
    await answer(
        send,
        status,
        [(b"content-type", b"application/json"), *further],
        body,
    )
