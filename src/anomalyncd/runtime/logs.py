"""The log of a run: lines in a file, which commands also print."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from anomalyncd.errors import InputError

LOG = logging.getLogger("anomalyncd")


class _ConsoleHandler(logging.Handler):
    """Prints each line on standard error, above a progress bar if there is one.

    Errors are left out, since the command that they end prints them itself.
    """

    def __init__(self, reword: Callable[[str], str]) -> None:
        super().__init__()
        self._reword = reword

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            return
        doubt = record.levelno == logging.WARNING
        line = self._reword(record.getMessage())
        console = Console(stderr=True, highlight=False, markup=False)
        text = f"Warning: {line}" if doubt else line
        console.print(text, style="yellow" if doubt else "dim", soft_wrap=True)


class _FileHandler(logging.FileHandler):
    """Makes the folder of the file when the first line is written."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


@contextmanager
def printed_log(reword: Callable[[str], str]) -> Iterator[None]:
    """Prints the lines that are logged within on standard error; warnings in yellow on a terminal.

    Args:
        reword: Makes the line that is printed from the one that is logged.
    """
    with _handled_by(_ConsoleHandler(reword)):
        yield


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Appends the lines that are logged within to a file.

    Args:
        path: The file; it is made with the first line, and closed afterwards because Windows does
            not rename open files.
    """
    file = _FileHandler(path, encoding="utf-8", delay=True, errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    with _handled_by(file):
        try:
            yield
        except InputError:
            raise  # It is the caller's answer and no event of the run.
        except BaseException as error:
            LOG.error("stopped: %s %s", type(error).__name__, error)
            raise


@contextmanager
def _handled_by(handler: logging.Handler) -> Iterator[None]:
    previous_level = LOG.level
    LOG.setLevel(logging.INFO)
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.setLevel(previous_level)
        LOG.removeHandler(handler)
        handler.close()
