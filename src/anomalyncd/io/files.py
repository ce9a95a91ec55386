"""Files on disk: listed by name, read in threads, and written completely or not at all."""

import errno
import os
import re
import shutil
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath
from typing import TypeVar
from uuid import uuid4

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from anomalyncd.errors import InputError
from anomalyncd.runtime.progress import track

Result = TypeVar("Result")

_WORKSHOP = ".results-"
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}(\.\w+)?")
"""Names that `write_atomically` gives."""
_ABANDONED = 3600
"""Seconds without a change after which nobody writes a temporary file any more."""
_IN_USE = ".lock"
"""Held by the process that works in a workshop."""
_OLD = "old"
"""In a workshop, a folder that is being replaced."""
_N_THREADS = 8  # Each holds one decoded image, so this limits the memory on any machine.


def require_folder(folder: str | Path) -> Path:
    """Returns the path of an existing folder, with `~` expanded.

    Raises:
        InputError: It does not exist or is a file.
    """
    path = Path(folder).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"'{path}' is a file; give the folder that holds it")
    raise InputError(f"folder '{path}' does not exist; check the path")


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


def name_of(relative: PurePath, suffixes: frozenset[str]) -> str:
    """Returns the name of a file: its relative POSIX path without the last suffix, in Unicode NFC.

    Only a suffix among `suffixes` is removed, so that other dots remain. File systems encode
    accented letters in different ways; NFC makes the names from all of them comparable.

    Raises:
        InputError: The path is not in UTF-8 or contains a control character.
    """
    name = relative.as_posix()
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InputError(
            f"file name {name!a} contains a control character or is not in UTF-8; rename it"
        )
    known = relative.suffix.lower() in suffixes
    return normal_form(name[: -len(relative.suffix)] if known else name)


def normal_form(name: str) -> str:
    """Returns a name in Unicode NFC."""
    return unicodedata.normalize("NFC", name)


def files_by_name(folder: Path, suffixes: frozenset[str], what: str) -> dict[str, Path]:
    """Finds the files below a folder by their relative names.

    Hidden files and folders are ignored. Links are followed, but loops of links are not.

    Args:
        folder: The folder to search, at any depth.
        suffixes: Suffixes of the files to find, in lower case, with the dot.
        what: What the files are, for messages: "image", "map", "mask".

    Returns:
        The paths by name (the relative POSIX path without suffix, for instance
        "broken_large/000"), sorted by name.

    Raises:
        InputError: Two files have the same name, or a folder cannot be listed.
    """
    paths: dict[str, Path] = {}
    for path in _walk(folder, ()):
        if path.suffix.lower() not in suffixes:
            continue
        name = name_of(path.relative_to(folder), suffixes)
        if name in paths:
            raise InputError(
                f"{what} '{name}' exists twice under '{folder}': "
                f"'{paths[name].name}' and '{path.name}'; keep one"
            )
        paths[name] = path
    return dict(sorted(paths.items()))


def _walk(folder: Path, ancestors: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in ancestors:
        return
    try:
        # The entries know whether they are folders, which saves a call for each file on a
        # network disk.
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"folder '{folder}' cannot be listed ({error.strerror})") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, (*ancestors, real))
        else:
            yield folder / entry.name


def shared_folder(paths: Iterable[Path]) -> Path:
    """Returns the deepest folder that contains all files.

    Args:
        paths: Absolute paths without "..".

    Raises:
        InputError: The files are on several drives.
    """
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError as error:
        raise InputError("the images are on several drives; put them on one") from error


def read_each(read: Callable[[int], Result], count: int, what: str) -> list[Result]:
    """Calls `read` with 0 to count - 1 in threads, and counts all items that cannot be used.

    Args:
        read: Reads or checks the item of one index; its result should be small.
        count: Number of items.
        what: A few words for the progress bar.

    Returns:
        The results, in order.

    Raises:
        InputError: The first error of `read`, with the number of further errors.
    """
    results: list[Result] = []
    errors: list[InputError] = []
    for outcome in attempt_each(read, count, what):
        if isinstance(outcome, InputError):
            errors.append(outcome)
        else:
            results.append(outcome)
    if errors:
        raise InputError(f"{errors[0]}{and_more(len(errors))}") from errors[0]
    return results


def attempt_each(
    read: Callable[[int], Result], count: int, what: str
) -> Iterator[Result | InputError]:
    """Calls `read` as `read_each` does, and yields the result or the error of each item."""

    def attempt(index: int) -> Result | InputError:
        try:
            return read(index)
        except InputError as error:
            return error

    executor = ThreadPoolExecutor(max_workers=_N_THREADS)
    try:
        yield from track(executor.map(attempt, range(count)), what, total=count)
    finally:
        executor.shutdown(cancel_futures=True)


def and_more(count: int) -> str:
    """Returns " (and N more)" if there are several faults of one kind, and "" if there is one."""
    return f" (and {count - 1} more)" if count > 1 else ""


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


_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
_FORBIDDEN = frozenset('<>:"|?*\\')


def refuse_unwritable_names(names: Iterable[str], system: str = sys.platform) -> None:
    """Checks that the results of images can be written under the names of the images.

    On Linux they always can. Windows and macOS treat "A/1" and "a/1" as the same file, and Windows
    refuses some names; such names come from lists and from the network disks of other systems.

    Args:
        names: Names of the images.
        system: One of the values of `sys.platform`.

    Raises:
        InputError: A name cannot be used, or two names are the same file.
    """
    if system not in ("win32", "darwin"):
        return
    spellings: dict[str, str] = {}
    for name in names:
        if system == "win32" and not _is_allowed_on_windows(name):
            raise InputError(f"image '{name}' has a name that Windows does not allow; rename it")
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f"the names of images '{other}' and '{name}' differ only in case, so their results "
                "would be the same file; rename one of them"
            )


def _is_allowed_on_windows(name: str) -> bool:
    *folders, last = name.split("/")
    return not (
        any(_FORBIDDEN & set(step) or _is_reserved(step) for step in (*folders, last))
        or any(step.endswith((".", " ")) for step in folders)
    )


def _is_reserved(step: str) -> bool:
    return step.split(".")[0].rstrip().casefold() in _RESERVED
