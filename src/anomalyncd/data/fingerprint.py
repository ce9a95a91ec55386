"""Whether inputs are still the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.decoding import unreadable


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
