"""Boxes drawn by people or found by an earlier run: rectangles in pixels of the image."""

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_files import IMAGE_SUFFIXES
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.pairing import refuse_strangers
from anomalyncd.io.files import and_more, name_of, normal_form
from anomalyncd.io.tables import read_table

_SIDES = ["left", "top", "right", "bottom"]
_OWNERS = ("name", "image")

Boxes: TypeAlias = dict[str | None, NDArray[np.float64]]
"""Image name to boxes (n, 4): left, top, right, bottom, px; under None the boxes of all images."""


def read_boxes(path: str | Path, images: ImageSet) -> Boxes:
    """Reads a table of boxes.

    Args:
        path: See `read_table`. Columns `left`, `top`, `right`, `bottom` in pixels of the image, and
            `name` (of the image) or `image` (its path, relative to the table or to the images); one
            row for each box. Rows whose column `found` is False, as in `regions.csv` of a run, are
            left out.
        images: The images.

    Returns:
        Boxes by image name; without the columns `name` and `image` they hold for every image.

    Raises:
        InputError: The table cannot be read, lacks a column, or holds a box that is invalid or
            belongs to no image.
    """
    source = Path(path).expanduser()
    table = read_table(source, "table of boxes")
    missing = [side for side in _SIDES if side not in table]
    if missing:
        raise InputError(
            f"table of boxes '{source}' has no column '{missing[0]}'{and_more(len(missing))}; it "
            "needs left, top, right and bottom, in pixels of the image"
        )
    if "found" in table:
        table = table[table["found"].str.casefold() != "false"].reset_index(drop=True)
    boxes = _numbers(table[_SIDES], source)
    owner = next((column for column in _OWNERS if column in table), None)
    if owner is None:
        return {None: boxes}
    owners = _owner_names(table[owner], source, images)
    refuse_strangers(dict(zip(owners, table[owner], strict=True)), images, "box")
    rows: dict[str, list[int]] = {}
    for index, name in enumerate(owners):
        rows.setdefault(name, []).append(index)
    return {name: boxes[chosen] for name, chosen in rows.items()}


def mask_of_boxes(boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Draws boxes into a mask.

    Args:
        boxes: (n, 4): left, top, right, bottom, px; what lies outside the image is cut off.
        height: Height of the image, px.
        width: Width of the image, px.

    Returns:
        (height, width), True in every pixel that a box touches.
    """
    mask = np.zeros((height, width), dtype=np.bool_)
    for left, top, right, bottom in boxes:
        first = max(int(np.floor(top)), 0), max(int(np.floor(left)), 0)
        mask[first[0] : max(int(np.ceil(bottom)), 0), first[1] : max(int(np.ceil(right)), 0)] = True
    return mask


def _numbers(cells: pd.DataFrame, source: Path) -> NDArray[np.float64]:
    # Excel writes a decimal comma in some languages.
    texts = cells.apply(lambda column: column.str.strip().str.replace(",", "."))
    numbers: NDArray[np.float64] = texts.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    left, top, right, bottom = numbers.T
    bad = np.flatnonzero(~(np.isfinite(numbers).all(1) & (left < right) & (top < bottom)))
    if len(bad):
        first = cells.iloc[int(bad[0])]
        box = ", ".join(f"{side} {cell!r}" for side, cell in first.items())
        raise InputError(
            f"table of boxes '{source}' has an invalid box ({box}){and_more(len(bad))}; "
            "give numbers with left < right and top < bottom"
        )
    return numbers


def _owner_names(cells: pd.Series, source: Path, images: ImageSet) -> list[str]:
    """The image of each row: by name, by the path as it is, or by the path from the table."""
    names = set(images.names)
    by_path = {
        _place(path): name
        for name, path in zip(images.names, images.sources, strict=True)
        if isinstance(path, Path)
    }
    owners = []
    for cell in cells:
        text = cell.strip().replace("\\", "/")
        name = normal_form(text)
        if name not in names:
            name = name_of(Path(text), IMAGE_SUFFIXES)
        if name not in names:
            name = by_path.get(_place(source.parent / text), name)
        owners.append(name)
    return owners


def _place(path: Path) -> str:
    # On Windows "C:/A.png" and "c:\\a.png" are one file.
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100
