"""What happened in a run, as lines in a file; on a terminal they are printed too."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from anomalyncd.errors import InputError

LOG = logging.getLogger("anomalyncd")


class _OnTerminal(logging.Handler):
    """Prints above progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        console = Console(stderr=True, highlight=False, markup=False)
        console.print(record.getMessage(), style="dim", soft_wrap=True)


class _InFolder(logging.FileHandler):
    """Makes the folder with the first line."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Appends what is logged meanwhile to a file, and prints it where there is a terminal.

    Args:
        path: Made with the first line, and its folder too; closed afterwards, as Windows needs to
            rename it.
    """
    file = _InFolder(path, encoding="utf-8", delay=True, errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handlers: list[logging.Handler] = [file]
    if Console(stderr=True).is_terminal:
        handlers.append(_OnTerminal())
    before = LOG.level
    LOG.setLevel(logging.INFO)
    for handler in handlers:
        LOG.addHandler(handler)
    try:
        yield
    except InputError:
        raise  # whoever called is told on the spot
    except BaseException as error:
        LOG.error("stopped: %s %s", type(error).__name__, error)
        raise
    finally:
        LOG.setLevel(before)
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()
