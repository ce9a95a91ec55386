"""Whether inputs are still the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import unreadable
from anomalyncd.io.files import files_by_name
from anomalyncd.io.json_files import read_json, write_json


def fingerprint(sources: Iterable[Any]) -> str:
    """Tells whether files (by size and time) or arrays (by content) are still the same.

    Args:
        sources: Paths, arrays, or anything with a `repr` of its own.
    """
    sha = hashlib.sha256()
    for source in sources:
        if isinstance(source, Path):
            state = source.stat()
            sha.update(f"{state.st_size} {state.st_mtime_ns} ".encode())
        elif isinstance(source, np.ndarray):
            sha.update(f"{source.shape} {source.dtype} ".encode() + source.tobytes())
        else:
            sha.update(f"{source!r} ".encode())
    return sha.hexdigest()


def content_digest(image: Path | NDArray[np.uint8]) -> str:
    """SHA-256 of the bytes of an image file, or of the pixels of an image in memory.

    Raises:
        InputError: The file cannot be read.
    """
    if not isinstance(image, Path):
        return fingerprint([image])
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(image, "image", error) from error


_RECORD = "made_from.json"


def keep_only_files_of(
    origin: dict[str, Any], folder: Path, suffixes: frozenset[str], what: str
) -> bool:
    """Deletes the files of a folder that were made from something else than what is given.

    Args:
        origin: Everything that the files depend on, as JSON can say it, with tuples for lists.
        folder: Where they lie; a record is written beside them.
        suffixes: Of the files.
        what: What a file is, for messages: "map", "mask".

    Returns:
        Whether those that are there were made from just this.

    Raises:
        InputError: The folder holds such files that were not made here.
    """
    record = folder / _RECORD
    if record.is_file() and read_json(record, f"{what}s") == origin:
        return True
    present = files_by_name(folder, suffixes, what) if folder.is_dir() else {}
    if present and not record.is_file():
        raise InputError(
            f"'{next(iter(present.values()))}' was not made here and would be taken for a {what} "
            f"that was; give a folder without {what}s"
        )
    for path in present.values():
        path.unlink()
    write_json(record, origin)
    return False
