"""Files and folders that are written completely or not at all, and what killed processes leave."""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from anomalyncd.errors import InputError

_WORKSHOP = ".results-"
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}(\.\w+)?")
"""Names that `write_atomically` gives."""
_ABANDONED = 3600
"""Seconds without a change after which nobody writes a temporary file any more."""
_IN_USE = ".lock"
"""Held by the process that works in a workshop."""
_OLD = "old"
"""In a workshop, a folder that is being replaced."""
_REMEDIES = {
    errno.ENOSPC: "free some space, then run the command again, or name a place on another disk",
    errno.EACCES: "allow it to be written, close a program that has it open, or name another place",
    errno.EROFS: "this disk is for reading only; name a place on another disk",
    errno.EFBIG: "larger files are not allowed there; name a place on another disk",
    errno.ENAMETOOLONG: "shorten the names of the folders and of the file",
}
_REMEDIES |= {errno.EPERM: _REMEDIES[errno.EACCES]}
if hasattr(errno, "EDQUOT"):  # Windows may lack it.
    _REMEDIES |= {errno.EDQUOT: _REMEDIES[errno.ENOSPC]}


def refuse_unwritable(folder: Path) -> None:
    """Checks that files can be written into a folder, which may not exist yet.

    Raises:
        InputError: It or a folder above it is a file, or nothing can be written there.
    """
    try:
        for path in (folder, *folder.parents):
            if os.path.lexists(path) and not path.is_dir():
                raise InputError(f"'{path}' is a file; name a new or empty folder for the results")
        with suppress(FileNotFoundError):
            folder.lstat()  # A name may be too long.
        # A file without a name that is gone when it is closed: permissions alone do not tell what a
        # disk for reading only or one of the system allows.
        tempfile.TemporaryFile(dir=nearest_folder(folder)).close()
    except OSError as error:
        raise unwritable(folder, error) from error


def nearest_folder(path: Path) -> Path:
    """Returns a folder, or the nearest one above it that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.is_dir())


def unwritable(path: Path, error: Exception) -> InputError:
    """Returns the error for a file or folder that cannot be written, with cause and remedy."""
    number = getattr(error, "errno", None)
    if number is None:
        # safetensors states the number only within its message.
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else 0
    reason = os.strerror(number) if number else str(error) or type(error).__name__
    remedy = _REMEDIES.get(number, "check the path, its permissions and the space on the disk")
    return InputError(f"'{path}' cannot be written ({reason}); {remedy}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns every failure to write within into an `InputError` that names the file.

    All results are written within this context, most of them by `write_atomically`. An error that
    names a file elsewhere passes, since a log is written in this context while a whole run goes on.

    Args:
        path: The file or folder, as the user knows it.

    Raises:
        InputError: The disk is full or does not allow it; names the remedy.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        named, folder = getattr(error, "filename", None), path.absolute().parent
        if isinstance(named, str | Path):
            place = Path(named).absolute()
            if not (place.is_relative_to(folder) or folder.is_relative_to(place)):
                raise
        raise unwritable(path, error) from error


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yields a temporary path and renames that file to `path` once it is written.

    Missing folders are made. After any failure, `path` still has its old content.

    Args:
        path: The file to write.

    Yields:
        A path in the same folder with the same suffix, where no file exists yet.

    Raises:
        InputError: The file cannot be written, see `writing`.
    """
    # Hidden files are never listed, so a killed run leaves nothing that looks like an image.
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _put_on_disk(temporary)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _put_on_disk(path: Path) -> None:
    """Waits until a file is on its disk, so that no power cut leaves an empty one of its name."""
    with path.open("r+b") as file, suppress(OSError):  # Some drives cannot tell.
        os.fsync(file.fileno())


def remove_temporary(folder: Path) -> None:
    """Deletes what `write_atomically` of killed processes left in a folder and those below it.

    No other process may be writing there.
    """
    for path in folder.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """Yields a hidden folder within a folder, empty but for a lock; it is deleted afterwards.

    A process that is killed leaves it, see `remove_abandoned`.

    Args:
        folder: Made where it is missing.

    Raises:
        InputError: Something cannot be written, see `writing`.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(
                dir=folder, prefix=_WORKSHOP, ignore_cleanup_errors=True
            ) as hidden,
            ExitStack() as held,
        ):
            # Some drives have no locks; nothing is removed there.
            with suppress(OSError, NotImplementedError):
                held.enter_context(FileLock(Path(hidden) / _IN_USE))
            yield Path(hidden)


def remove_abandoned(folder: Path) -> None:
    """Deletes what `workshop` and `write_atomically` of a killed process left in a folder.

    The system frees the lock of a workshop with its process. One that holds the only whole copy of
    an earlier folder stays. What has no lock is deleted once it is an hour old.
    """
    old = time.time() - _ABANDONED
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name) and path.stat().st_mtime < old:
                path.unlink()
    for hidden in folder.glob(f"{_WORKSHOP}*"):
        lock = hidden / _IN_USE
        if lock.is_file() and not (hidden / _OLD).exists():
            try:
                with FileLock(lock, timeout=0):
                    pass
            except (Timeout, OSError, NotImplementedError):
                continue
            shutil.rmtree(hidden, ignore_errors=True)
        elif not lock.exists():  # Its process was killed just before it deleted it.
            with suppress(OSError):
                if hidden.stat().st_mtime < old:
                    hidden.rmdir()


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder and renames it to `folder` once it is filled.

    After any failure, `folder` still has its old content.

    Args:
        folder: The folder to write; an existing folder is replaced, missing parents are made.

    Yields:
        A temporary folder on the same drive.

    Raises:
        InputError: Something cannot be written, see `writing`.
    """
    with workshop(folder.parent) as hidden, writing(folder):
        new, old = hidden / "new", hidden / _OLD
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise
