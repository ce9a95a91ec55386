"""Files on disk: listed by name, read by several threads, written whole or not at all."""

import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from anomalyncd.errors import InputError
from anomalyncd.runtime.progress import track

Result = TypeVar("Result")

# Each reader holds one decoded picture, so this bounds the memory whatever the machine.
N_READERS = 8


def require_folder(folder: str | Path) -> Path:
    """Returns `folder` as a path, `~` expanded.

    Raises:
        InputError: It does not exist or is a file.
    """
    path = Path(folder).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"'{path}' is a file; give the folder that holds it")
    raise InputError(f"folder '{path}' does not exist; check the path")


def refuse_file(folder: Path) -> None:
    """Raises if a folder to write into, or one that it would lie in, is a file.

    Raises:
        InputError: Names the file.
    """
    for path in (folder, *folder.parents):
        if path.is_file():
            raise InputError(f"'{path}' is a file; name a new or empty folder for the results")


def name_of(relative: Path, suffixes: frozenset[str]) -> str:
    """Returns the name of a file: its relative POSIX path without the last suffix, in Unicode NFC.

    Only a suffix among `suffixes` is taken off, so dots within a name survive. File systems differ
    in how they spell an accented letter; NFC makes names from any of them comparable.

    Raises:
        InputError: The path holds bytes that are no text, or a line break or the like.
    """
    known = relative.suffix.lower() in suffixes
    plain = relative.as_posix()
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in plain):
        raise InputError(
            f"file name {plain!a} holds a control character or is not in UTF-8; rename it"
        )
    return normal_form(plain[: -len(relative.suffix)] if known else plain)


def normal_form(name: str) -> str:
    """Returns the one spelling of a name, Unicode NFC."""
    return unicodedata.normalize("NFC", name)


def files_by_name(folder: Path, suffixes: frozenset[str], what: str) -> dict[str, Path]:
    """Finds the files below a folder by their relative names.

    Hidden files and folders are left aside. Links are followed, loops of links are not.

    Args:
        folder: Where to look, at any depth.
        suffixes: Suffixes wanted, in lower case, with the dot.
        what: What the files are, for messages: "image", "map", "mask".

    Returns:
        Name (relative POSIX path without suffix, "broken_large/000") to path, sorted by name.

    Raises:
        InputError: Two files share one name, or a folder cannot be listed.
    """
    found: dict[str, Path] = {}
    for path in _walk(folder, ()):
        if path.suffix.lower() not in suffixes:
            continue
        name = name_of(path.relative_to(folder), suffixes)
        if name in found:
            raise InputError(
                f"{what} '{name}' exists twice under '{folder}': "
                f"'{found[name].name}' and '{path.name}'; keep one"
            )
        found[name] = path
    return dict(sorted(found.items()))


def _walk(folder: Path, ancestors: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in ancestors:
        return
    try:
        # Its entries know what they are, which spares a call a file on a network disk.
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
    """Returns the deepest folder that holds all files.

    Args:
        paths: Absolute, without "..".

    Raises:
        InputError: They lie on several drives.
    """
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError as error:
        raise InputError("the images lie on several drives; put them on one") from error


def read_each(read: Callable[[int], Result], count: int, what: str) -> list[Result]:
    """Calls `read` for 0 .. count - 1 in threads and reports every unusable file at once.

    Args:
        read: Reads or checks the item of one index; what it returns should be small.
        count: Number of items.
        what: A few words for the progress bar.

    Returns:
        The results, in order.

    Raises:
        InputError: The first error of `read`, with the number of further ones.
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
    """Calls `read` for 0 .. count - 1 in threads; see `read_each`.

    Yields:
        For each item, in order, its result or what is wrong with it.
    """

    def attempt(index: int) -> Result | InputError:
        try:
            return read(index)
        except InputError as error:
            return error

    executor = ThreadPoolExecutor(max_workers=N_READERS)
    try:
        yield from track(executor.map(attempt, range(count)), what, total=count)
    finally:
        executor.shutdown(cancel_futures=True)


def and_more(count: int) -> str:
    """Returns " (and N more)" for the rest of `count` faults of one kind, "" for a single one."""
    return f" (and {count - 1} more)" if count > 1 else ""


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` and renames it onto `path` once it is written.

    Missing folders are made. Whatever goes wrong, `path` holds its old content or the new one.

    Args:
        path: The file to write.

    Yields:
        A path in the same folder with the same suffix; nothing exists there yet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that a run that was killed leaves nothing that is taken for an image or a map.
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder and renames it to `folder` once it is filled.

    Args:
        folder: Missing parents are made; a folder that is there is replaced.

    Yields:
        A folder beside `folder`; whatever goes wrong, `folder` holds its old content or the new.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True
    ) as workshop:
        new, old = Path(workshop) / "new", Path(workshop) / "old"
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
    """Raises if masks and maps of some images cannot be written, or would overwrite each other.

    On Linux every name can be; Windows and macOS hold "A/1" and "a/1" for the same file, and
    Windows refuses some names. Names come from other systems by network disks and from lists.

    Args:
        names: Of the images.
        system: As `sys.platform` says it.

    Raises:
        InputError: Names the first such image.
    """
    if system not in ("win32", "darwin"):
        return
    seen: dict[str, str] = {}
    for name in names:
        if system == "win32" and not _can_be_on_windows(name):
            raise InputError(f"image '{name}' has a name that Windows does not allow; rename it")
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f"the names of images '{other}' and '{name}' differ in case alone, so their results "
                "would be one file; rename one of them"
            )


def _can_be_on_windows(name: str) -> bool:
    *folders, last = name.split("/")
    return not (
        any(_FORBIDDEN & set(step) or _is_reserved(step) for step in (*folders, last))
        or any(step.endswith((".", " ")) for step in folders)
    )


def _is_reserved(step: str) -> bool:
    return step.split(".")[0].rstrip().casefold() in _RESERVED
