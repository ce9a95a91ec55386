"""Images of a place or of Parquet, copied to a disk that a discovery reads them from."""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, UnidentifiedImageError

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.files import refuse_unwritable, write_atomically
from anomalyncd.runtime.engine import Engine
from anomalyncd.runtime.progress import track
from anomalyncd.scale.rows import (
    BYTES,
    NAME,
    PATH,
    file_system,
    holds_bytes,
    image_rows,
    is_place,
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
    rows = image_rows(images)
    folder = Path(folder).expanduser().absolute()
    refuse_unwritable(folder)
    items: Sequence[Any]
    if rows.parquet is None:
        items = list(zip(rows.table[NAME], rows.table[PATH], strict=True))
        work = partial(partial, _copy, folder)
    else:
        items = _parquet_groups(rows.parquet)
        work = partial(partial, _unpack, folder)
    for _ in track(engine.map(work, items), "Copying images", len(items)):
        pass
    return folder


def _copy(folder: Path, item: tuple[str, str]) -> None:
    name, place = item
    path = _inside(folder, name, Path(place).suffix)
    if not path.is_file():
        _write(path, read_place(place))


def _unpack(folder: Path, item: tuple[str, int]) -> None:
    """Writes the images of one group of rows of a file of Parquet."""
    from pyarrow import parquet

    place, group = item
    system, inside = file_system(place)
    with system.open(inside) as file:
        rows = parquet.ParquetFile(file)
        for batch in rows.iter_batches(8, row_groups=[group], columns=[NAME, BYTES]):
            for row in batch.to_pylist():
                path = _inside(folder, row[NAME], _suffix(row[NAME], row[BYTES]))
                if not path.is_file():
                    _write(path, row[BYTES])


def _parquet_groups(place: str) -> list[tuple[str, int]]:
    from pyarrow import parquet

    system, inside = file_system(place)
    single = inside.endswith(".parquet")
    items = []
    for path in [inside] if single else sorted(system.glob(f"{inside}/*.parquet")):
        with system.open(path) as file:
            n_groups = parquet.ParquetFile(file).num_row_groups
        items += [(system.unstrip_protocol(path), group) for group in range(n_groups)]
    return items


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
