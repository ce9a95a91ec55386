"""One program at a time changes the files of a folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from filelock import FileLock, Timeout

from anomalyncd.errors import InputError
from anomalyncd.io.files import is_reachable
from anomalyncd.io.writing import unwritable

LOCK = ".lock"
"""Empty file in a folder that one program at a time holds; the system frees it with the program."""
_WRITER = ".writer.lock"
"""Held in the same way by a program that works in a folder for long."""
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


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Refuses a folder that another program works in, and keeps others out meanwhile.

    Programs that are short hold `exclusive` instead, and are not kept out.

    Args:
        folder: Made where it is missing, and removed again if nothing was written into it.

    Raises:
        InputError: Another program works in it, nothing can be written there, or it was moved or
            deleted meanwhile, so that it may lack files.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    lock = FileLock(folder.resolve() / _WRITER)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another program writes into '{folder}'; wait until it has ended, or name another "
            "folder"
        ) from error
    except (OSError, NotImplementedError):
        yield  # Some drives have no locks.
        return
    try:
        yield
        if not is_reachable(folder / _WRITER):
            raise InputError(
                f"'{folder}' was moved or deleted while the command wrote into it; check the "
                "connection to its drive, then run the command again"
            )
    finally:
        with suppress(OSError):  # Windows deletes no open file.
            (folder / _WRITER).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # Something was written.
            for one in missing:
                one.rmdir()
