"""Starts the server of a line, swaps its model, and ends it without losing a request."""

import hashlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from anomalyncd.errors import InputError
from anomalyncd.io.files import require_folder
from anomalyncd.io.http_messages import listen
from anomalyncd.line.jobs import Jobs, Predicts
from anomalyncd.line.limits import Limits
from anomalyncd.line.server import Service, make_app

TOKEN_VARIABLE = "ANOMALYNCD_TOKEN"
"""The environment variable that holds the token of the server."""
_LOCAL = ("127.0.0.1", "localhost", "::1")
_LEAST_TOKEN = 16
"""Characters."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a server listens, and what it asks for."""

    host: str = "127.0.0.1"
    port: int | None = None
    """None takes a free one."""
    token: str | None = None
    """None for a server that only programs of this machine reach."""
    root: Path | None = None
    """Folder below which images may be named by their paths."""
    most_waiting: int = 64
    """Images that may wait."""
    limits: Limits = field(default_factory=Limits)


def serve_model(
    model: str | Path,
    load: Callable[[], Predicts],
    place: Place,
    on_start: Callable[[str], None] = print,
) -> None:
    """Serves a model until SIGTERM or ctrl-c, and answers every request that it has taken.

    SIGHUP swaps in the model as it is on the disk then.

    Args:
        model: The folder of the model, or of its run.
        load: Loads its predictor.
        place: Where it listens.
        on_start: Gets the address once the server listens.

    Raises:
        InputError: The model, the address or the root cannot be used, or the server would be
            reached from other machines without a token.
    """
    _refuse_open(place)
    root = None if place.root is None else require_folder(place.root).resolve()

    def loaded() -> tuple[Predicts, str]:
        version = model_version(model)
        return load(), version

    listening = listen(place.host, place.port)
    jobs = Jobs(*loaded(), place.most_waiting)
    service = Service(jobs, loaded, place.limits, root)
    app: Any = make_app(service, place.token)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=round(place.limits.seconds) + 5,
    )
    shown = f"[{place.host}]" if ":" in place.host else place.host
    on_start(f"http://{shown}:{listening.getsockname()[1]}")
    try:
        with _signals(service):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        jobs.close()
        listening.close()


def read_token(path: Path | None) -> str | None:
    """Returns the token of the server, from a file or else from the environment variable.

    Args:
        path: A file that holds nothing else.

    Raises:
        InputError: The file cannot be read, or the token is short or not plain text.
    """
    if path is None:
        token, place = os.environ.get(TOKEN_VARIABLE, ""), f"the variable {TOKEN_VARIABLE}"
        if not token:
            return None
    else:
        place = f"'{path}'"
        try:
            token = path.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise InputError(f"token file {place} cannot be read ({error})") from error
    if len(token) < _LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise InputError(
            f"the token in {place} cannot be used; write at least {_LEAST_TOKEN} letters and "
            "digits, for instance those of 'openssl rand -hex 32'"
        )
    return token


def model_version(model: str | Path) -> str:
    """Returns twelve digits that change with the files of a model.

    Args:
        model: The folder of the model, or of its run.

    Raises:
        InputError: There is no such folder.
    """
    folder = require_folder(model)
    folder = folder / "model" if (folder / "model").is_dir() else folder
    digest = hashlib.sha256()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:12]


def _refuse_open(place: Place) -> None:
    if place.token is None and place.host not in _LOCAL:
        raise InputError(
            f"host {place.host} is reached from other machines, and there is no token; give "
            f"`token_file`, or set {TOKEN_VARIABLE}"
        )


@contextmanager
def _signals(service: Service) -> Iterator[None]:
    """SIGHUP reloads the model, and SIGTERM is no failure once the server has ended by it."""

    def reload() -> None:
        try:
            _log.warning("the model is now %s", service.reload())
        except Exception as error:
            _log.warning("the model stays %s: %s", service.jobs.model, error)

    def on_hangup(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=reload, name="reload", daemon=True).start()

    def on_end(number: int, frame: FrameType | None) -> None:
        """The server sends itself the signal once more after it has ended."""

    handlers: dict[str, Callable[[int, FrameType | None], None]]
    handlers = {"SIGHUP": on_hangup, "SIGTERM": on_end, "SIGINT": on_end}
    known = {getattr(signal, name): one for name, one in handlers.items() if hasattr(signal, name)}
    previous = {number: signal.signal(number, handler) for number, handler in known.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
