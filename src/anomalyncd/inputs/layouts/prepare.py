"""Public data sets as they lie on disk, turned into manifests; nothing is copied or moved."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.inputs.layouts.folders import aebad, class_folders, mtd, mvtec
from anomalyncd.inputs.layouts.listed import real_iad, visa
from anomalyncd.io.files import require_folder, write_atomically

_PLAIN: dict[str, Callable[[Path], pd.DataFrame]] = {"aebad": aebad, "folders": class_folders}
_BY_CATEGORY: dict[str, Callable[[Path, str | None], pd.DataFrame]] = {
    "mvtec": mvtec,
    "real-iad": real_iad,
    "visa": visa,
}
LAYOUTS = tuple(sorted([*_PLAIN, *_BY_CATEGORY, "mtd"]))
"""The names that `prepare` knows."""

_PATHS = ("image", "mask")


def prepare(
    name: str,
    source: str | Path,
    category: str | None = None,
    split_list: str | Path | None = None,
) -> pd.DataFrame:
    """Reads how a data set lies on disk.

    Args:
        name: The layout, one of `LAYOUTS`.
        source: The folder of the data set as it was unpacked, or of one of its categories.
        category: One of several products, where the data set has such.
        split_list: For `mtd`: text file with the names of the training images, one a line.

    Returns:
        One row an image, text: `image` and `mask` (paths; "" for no mask), `label`, `split` where
        the data set has one, and what else the layout tells.

    Raises:
        InputError: The layout is not known, or the folder does not follow it.
    """
    if name not in LAYOUTS:
        raise InputError(f"layout '{name}' is not known; use one of {', '.join(LAYOUTS)}")
    if category is not None and name not in _BY_CATEGORY:
        raise InputError(f"'{name}' has no categories; leave out '{category}'")
    if split_list is not None and name != "mtd":
        raise InputError(f"'{name}' brings its own split; leave out '{split_list}'")
    root = require_folder(source)
    if name in _PLAIN:
        return _PLAIN[name](root)
    if name in _BY_CATEGORY:
        return _BY_CATEGORY[name](root, category)
    return mtd(root, None if split_list is None else Path(split_list).expanduser())


def write_manifest(table: pd.DataFrame, path: str | Path) -> None:
    """Writes a manifest as CSV, its paths relative to it and with forward slashes.

    Args:
        table: What `prepare` returned.
        path: The file, suffix `.csv`; missing folders are made.

    Raises:
        InputError: The suffix is another, or it is a folder.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() != ".csv" or target.is_dir():
        raise InputError(f"manifest '{target}' cannot be written; name a .csv file")
    relative = table.copy()
    for column in {*_PATHS} & {*table.columns}:
        relative[column] = [_relative(cell, target.parent) for cell in table[column]]
    with write_atomically(target) as temporary:
        relative.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")


def _relative(cell: str, folder: Path) -> str:
    if not cell:
        return ""
    try:
        return Path(os.path.relpath(cell, folder)).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(cell)).as_posix()  # noqa: PTH100
