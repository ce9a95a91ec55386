"""Tables of the images that many machines will predict: their names, and where they lie."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import as_image_set
from anomalyncd.images.manifest import MAP
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.columns import is_result_column
from anomalyncd.io.files import and_more, name_of

NAME, PATH, BYTES, GROUP = "name", "path", "image", "group"
"""Columns: name of the image, where its file lies, the content of its file; group of rows."""
_AT_A_TIME = 8


def image_rows(images: str | Path) -> pd.DataFrame:
    """Lists the images of a source; no image is opened.

    Args:
        images: A folder or a manifest as for `AnomalyNCD.fit`; a folder, or a file or a folder of
            Parquet, at a place of fsspec such as "s3://bucket/images"; or Parquet that holds
            images: the columns `name` and `image`, the content of an image file.

    Returns:
        `name`, `path` and what a manifest says of each image. Where Parquet holds the images it has
        one row for each of their groups of rows: `path` of the file and `group`.

    Raises:
        InputError: The source holds no images, or cannot be listed, or has a column of the results.
    """
    if holds_bytes(images):
        return _groups(images)
    if is_place(images):
        return _listed(str(images))
    opened = as_image_set(images)
    table = pd.DataFrame({NAME: opened.names, PATH: opened.paths})
    if opened.columns is not None and MAP in opened.columns:
        raise InputError(
            f"manifest '{images}' names maps in its column '{MAP}', and the engine 'ray' makes its "
            "own; take the column out, or leave out `engine`"
        )
    if opened.columns is not None:
        table = pd.concat([table, opened.columns], axis=1)
    return table


def is_place(images: object) -> bool:
    """Whether a source is a place of fsspec such as "s3://bucket/images"."""
    return isinstance(images, str) and "://" in images


def holds_bytes(images: str | Path) -> bool:
    """Whether a source is Parquet whose column `image` holds the content of files, not paths.

    Raises:
        InputError: The Parquet is damaged, or has no column `name`.
    """
    system, files = _parquet_files(images)
    if not files or not system.exists(files[0]):
        return False
    from pyarrow import ArrowException, parquet, types

    try:
        with system.open(files[0]) as file:
            schema = parquet.read_schema(file)
    except (ArrowException, OSError) as error:
        raise InputError(f"'{images}' is damaged ({error}); save it again") from error
    if BYTES not in schema.names:
        return False
    kind = schema.field(BYTES).type
    holds = types.is_binary(kind) or types.is_large_binary(kind)
    if holds and NAME not in schema.names:
        raise InputError(f"'{images}' has no column '{NAME}'; add it with the name of each image")
    return bool(holds)


def read_group(place: str, group: int) -> Iterator[dict[str, Any]]:
    """Yields the rows of one group of a file of Parquet, of which a few are in memory at a time."""
    from pyarrow import parquet

    system, inside = file_system(place)
    with system.open(inside) as file:
        for batch in parquet.ParquetFile(file).iter_batches(_AT_A_TIME, row_groups=[group]):
            yield from batch.to_pylist()


def read_place(path: str) -> bytes:
    """Reads the content of a file at a place of fsspec.

    Raises:
        InputError: It cannot be read.
    """
    try:
        system, inside = file_system(path)
        content: bytes = system.cat_file(inside)
    except OSError as error:
        raise InputError(f"image '{path}' cannot be read ({error}); check the path") from error
    return content


def file_system(place: str) -> tuple[Any, str]:
    """Returns the file system of fsspec that a place lies on, and the path within it.

    Raises:
        InputError: fsspec, or the package that knows such places, is not installed.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError(f"'{place}' needs fsspec; install 'anomalyncd[ray]'") from error
    try:
        system, inside = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"'{place}' cannot be opened ({error}); install the package of fsspec for "
            f"'{urlsplit(place).scheme}://', or copy the images to a disk"
        ) from error
    return system, inside


def _parquet_files(images: str | Path) -> tuple[Any, list[str]]:
    place = str(images) if is_place(images) else str(Path(images).expanduser().absolute())
    system, inside = file_system(place)
    if inside.endswith(".parquet"):
        return system, [inside]
    return system, sorted(system.glob(f"{inside}/*.parquet"))


def _groups(images: str | Path) -> pd.DataFrame:
    from pyarrow import parquet

    system, files = _parquet_files(images)
    rows = []
    for path in files:
        with system.open(path) as file:
            opened = parquet.ParquetFile(file)
            _refuse_columns(opened.schema_arrow.names, path)
            n_groups = opened.num_row_groups
        rows += [{PATH: system.unstrip_protocol(path), GROUP: group} for group in range(n_groups)]
    return pd.DataFrame(rows)


def _refuse_columns(columns: list[str], path: str) -> None:
    """Raises for columns that would take the place of those of the results."""
    taken = [name for name in columns if is_result_column(name) and name not in (NAME, PATH)]
    if taken:
        raise InputError(
            f"'{path}' has a column '{taken[0]}'{and_more(len(taken))}, which the results have as "
            f"well; rename it, for instance 'my_{taken[0]}'"
        )


def _listed(place: str) -> pd.DataFrame:
    system, inside = file_system(place)
    try:
        found = sorted(system.find(inside))
    except OSError as error:
        raise InputError(f"'{place}' cannot be listed ({error}); check the place") from error
    files = [one for one in found if Path(one).suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise InputError(f"no image at '{place}'; expected files such as .png, .jpg or .tif")
    root = inside.rstrip("/") + "/"
    names = [name_of(Path(one.removeprefix(root)), IMAGE_SUFFIXES) for one in files]
    table = pd.DataFrame({NAME: names, PATH: [system.unstrip_protocol(one) for one in files]})
    doubled = table[NAME][table[NAME].duplicated()]
    if len(doubled):
        raise InputError(f"image '{doubled.iloc[0]}' exists twice at '{place}'; keep one")
    return table
