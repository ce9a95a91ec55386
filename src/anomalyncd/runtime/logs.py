"""The log of a run: lines in a file, which are also printed on a terminal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from anomalyncd.errors import InputError

LOG = logging.getLogger("anomalyncd")


class _TerminalHandler(logging.Handler):
    """Prints each line, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        console = Console(stderr=True, highlight=False, markup=False)
        console.print(record.getMessage(), style="dim", soft_wrap=True)


class _FileHandler(logging.FileHandler):
    """Makes the folder of the file when the first line is written."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Appends the lines that are logged within to a file, and prints them on a terminal.

    Args:
        path: The file; it is made with the first line, and closed afterwards because Windows does
            not rename open files.
    """
    file = _FileHandler(path, encoding="utf-8", delay=True, errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handlers: list[logging.Handler] = [file]
    if Console(stderr=True).is_terminal:
        handlers.append(_TerminalHandler())
    previous_level = LOG.level
    LOG.setLevel(logging.INFO)
    for handler in handlers:
        LOG.addHandler(handler)
    try:
        yield
    except InputError:
        raise  # It is the caller's answer and no event of the run.
    except BaseException as error:
        LOG.error("stopped: %s %s", type(error).__name__, error)
        raise
    finally:
        LOG.setLevel(previous_level)
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()
