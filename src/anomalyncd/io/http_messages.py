"""What the servers share: bodies up to a limit, answers of one sentence, tokens, ports."""

import hmac
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from anomalyncd.errors import InputError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]
_MOST_DIGITS = 20


def headers_of(scope: Scope) -> dict[str, str]:
    """Returns the headers of a request by their names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def length_of(headers: dict[str, str]) -> int | None:
    """Returns the length of the body that a request states; None where it is no number."""
    stated = headers.get("content-length", "0")
    is_number = stated.isascii() and stated.isdigit() and len(stated) <= _MOST_DIGITS
    return int(stated) if is_number else None


def bearer_of(headers: dict[str, str]) -> str:
    """Returns the token that a request states in its header, "" where it states none."""
    return headers.get("authorization", "").removeprefix("Bearer ")


def matches(given: str, token: str) -> bool:
    """Returns whether a token is the right one, in a time that does not tell how much of it is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def read_body(headers: dict[str, str], receive: Receive, most_bytes: int) -> bytes | None:
    """Reads the body of a request.

    Args:
        headers: Of the request.
        receive: Gives its messages.
        most_bytes: The longest body that is read.

    Returns:
        The body, or None where it is too long; then not all of it has been read.
    """
    length = length_of(headers)
    if length is None or length > most_bytes:
        return None
    if not length and "transfer-encoding" not in headers:
        return b""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > most_bytes:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
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


def with_headers(send: Send, headers: dict[str, str]) -> Send:
    """Adds headers to every answer that does not state them itself."""
    coded = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def added(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            further = [one for one in coded if one[0] not in present]
            message = {**message, "headers": [*message["headers"], *further]}
        await send(message)

    return added


async def refuse(send: Send, status: int, sentence: str) -> None:
    """Answers a request with one sentence."""
    await answer(send, status, [(b"content-type", b"text/plain; charset=utf-8")], sentence.encode())


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Answers a request, with its length."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def listen(host: str, port: int | None) -> socket.socket:
    """Opens a port that a server listens on.

    Args:
        host: An address of this machine.
        port: The number; None takes a free one.

    Raises:
        InputError: The address or the port cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # On Windows, a second server could take the port as well.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port or 0))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        place = "" if host == "127.0.0.1" else f" of {host}"
        raise InputError(
            f"port {port}{place} cannot be used ({error}); give another `port`, or none"
        ) from error
    return listening
