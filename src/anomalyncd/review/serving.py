"""Starts a review on this machine: a port, a link that nobody can guess, and the server."""

import secrets
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any

import uvicorn

from anomalyncd.images.image_set import as_image_set
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.io.http_messages import listen
from anomalyncd.io.writing import refuse_unwritable
from anomalyncd.results.run_folder import read_run
from anomalyncd.review.file_store import FileStore
from anomalyncd.review.server import make_app
from anomalyncd.review.session import ReviewSession

HOST = "127.0.0.1"
_TOKEN = "token.txt"
_LEAST_TOKEN = 32
"""Characters."""


def review_run(
    folder: str | Path,
    images: ImagesLike | None = None,
    port: int | None = None,
    on_start: Callable[[str], None] = print,
) -> None:
    """Serves the page on which a person names and corrects the classes of a run, until ctrl-c.

    Args:
        folder: A finished run.
        images: The images, where they are now; None reads them from their original paths.
        port: On which it listens; None takes a free one.
        on_start: Gets the link once the server listens.

    Raises:
        InputError: The folder holds no finished run, nothing can be written there, most images are
            not found, or the port is in use.
    """
    run = read_run(folder)
    refuse_unwritable(run.folder)
    run = run if images is None else run.with_images(as_image_set(images))
    run.refuse_lost_images()
    listening = listen(HOST, port)
    number = int(listening.getsockname()[1])
    session = ReviewSession(run, run.labels)
    token = review_token(FileStore(run))
    app: Any = make_app(session, token, number)
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    server = _Server(config, session)
    on_start(f"http://{HOST}:{number}/?token={token}")
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        session.close()
        listening.close()


def open_browser(link: str) -> None:
    """Opens a link in the browser, and does not wait for it."""
    Thread(target=webbrowser.open, args=[link], daemon=True).start()


def review_token(store: FileStore) -> str:
    """Returns the secret of the link, which stays the same so that a page survives a restart.

    Only the user who started the review can read it; another user gets another one.

    Args:
        store: The cached files of the run.
    """
    path = store.folder / _TOKEN
    stored = store.load(_TOKEN) or b""
    private = path.is_file() and not path.stat().st_mode & 0o077
    if private and len(stored) >= _LEAST_TOKEN and stored.isascii():
        return stored.decode()
    token = secrets.token_urlsafe(_LEAST_TOKEN)
    store.save_private(_TOKEN, token.encode())
    return token


class _Server(uvicorn.Server):
    """Ends the events of all pages first, so that no connection keeps the server from ending."""

    def __init__(self, config: uvicorn.Config, session: ReviewSession) -> None:
        super().__init__(config)
        self.session = session

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.session.close()
        super().handle_exit(sig, frame)
