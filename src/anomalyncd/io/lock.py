"""One program at a time changes the files of a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from filelock import FileLock

from anomalyncd.io.files import unwritable

LOCK = ".lock"
"""Empty file in a folder that one program at a time holds; the system frees it with the program."""
_GUARD = RLock()
_HELD: set[Path] = set()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Waits until no other program or thread changes a folder, and keeps others waiting meanwhile.

    What runs within it may ask for the same folder again.

    Args:
        folder: An existing folder.

    Raises:
        InputError: Nothing can be written there.
    """
    place = folder.resolve()
    with _GUARD:
        if place in _HELD:
            yield
            return
        lock = FileLock(place / LOCK)
        try:
            lock.acquire()
        except OSError as error:
            raise unwritable(folder, error) from error
        _HELD.add(place)
        try:
            yield
        finally:
            _HELD.remove(place)
            lock.release()
