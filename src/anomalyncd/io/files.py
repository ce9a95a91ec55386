"""Files on disk: listed by name, and read in threads."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import TypeVar

from anomalyncd.errors import InputError
from anomalyncd.runtime.progress import track

Result = TypeVar("Result")

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
        raise InputError(
            f"folder '{folder}' cannot be listed ({error.strerror}); check its permissions and the "
            "connection to its drive, then run the command again"
        ) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, (*ancestors, real))
        else:
            yield folder / entry.name


def is_reachable(path: Path) -> bool:
    """Returns whether a file or folder is there and its drive answers."""
    try:
        path.stat()
    except OSError:
        return False
    return True


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
