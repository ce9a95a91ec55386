"""Images of a place or of Parquet, copied to a disk that a discovery reads them from."""

import io
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, UnidentifiedImageError

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.writing import refuse_unwritable, write_atomically
from anomalyncd.runtime.engine import Engine
from anomalyncd.runtime.progress import track
from anomalyncd.scale.rows import (
    BYTES,
    GROUP,
    NAME,
    PATH,
    holds_bytes,
    image_rows,
    is_place,
    read_group,
    read_place,
)


def fetch_images(images: str | Path, folder: str | Path, engine: Engine) -> Path:
    """Copies images to a folder, under their names; those that are there are not copied again.

    A discovery looks at each image several times, and so do its report and its review.

    Args:
        images: A place, or Parquet that holds images; see `image_rows`.
        folder: The folder, on a disk that all workers see at the same path.
        engine: Copies the images.

    Returns:
        The folder; or `images`, if they are files on a disk already.

    Raises:
        InputError: The images cannot be read, or the folder cannot be written.
    """
    if not is_place(images) and not holds_bytes(images):
        return Path(images)
    rows = image_rows(images).to_dict("records")
    folder = Path(folder).expanduser().absolute()
    refuse_unwritable(folder)
    for _ in track(engine.map(partial(partial, _fetch, folder), rows), "Copying images", len(rows)):
        pass
    return folder


def _fetch(folder: Path, row: dict[str, Any]) -> None:
    """Writes one image, or those of a group of rows of Parquet."""
    if GROUP in row:
        for held in read_group(row[PATH], row[GROUP]):
            path = _inside(folder, held[NAME], _suffix(held[NAME], held[BYTES]))
            if not path.is_file():
                _write(path, held[BYTES])
        return
    path = _inside(folder, row[NAME], Path(row[PATH]).suffix)
    if not path.is_file():
        _write(path, read_place(row[PATH]))


def _suffix(name: str, content: bytes) -> str:
    """The suffix of an image file, by its content."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            suffix = f".{str(image.format).lower()}"
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"image '{name}' cannot be read ({error}); remove its row") from error
    if suffix not in IMAGE_SUFFIXES:
        raise InputError(f"image '{name}' is a {suffix} file; convert it to .png")
    return suffix


def _inside(folder: Path, name: str, suffix: str) -> Path:
    named = PurePosixPath(name)
    if named.is_absolute() or ".." in named.parts or not named.name:
        raise InputError(f"name '{name}' cannot be used; give a relative one without '..'")
    return folder / f"{name}{suffix}"


def _write(path: Path, content: bytes) -> None:
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
