"""Boxes and other shapes drawn by people or found by an earlier run, and the masks they become."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.inputs.pairing import refuse_strangers
from anomalyncd.io.files import and_more, name_of, normal_form
from anomalyncd.io.tables import read_table

_CORNERS = ("left", "top", "right", "bottom")
BOX_COLUMNS = (
    _CORNERS,
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "width", "height"),
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
)
"""Names of the columns of a box; the first of them that a table has are read."""
IMAGE_COLUMNS = ("name", "image", "filename", "file_name")
"""Names of the column that names the image; the first of them that a table has is read."""
_LARGEST_WITH_SMALL_BOXES = 16
_FRACTION_BITS = 8


@dataclass(frozen=True, eq=False)
class Shape:
    """One marked place on an image."""

    kind: Literal["box", "polygon", "line", "bitmap"]
    """How the points are joined."""
    points: NDArray[np.float64]
    """(n, 2), x and y: two opposite corners of a box, or the outline; of a bitmap both corners."""
    where: str
    """Where it is written, for messages: "row 3"."""
    label: str = ""
    """Its class."""
    code: bytes = b""
    """The pixels of a bitmap, a PNG file of one channel."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """All marked places of one image."""

    file: Path
    """The file in which they are written."""
    shapes: tuple[Shape, ...]
    """The shapes."""
    size: tuple[int, int] | None = None
    """Height and width of the image, px, if the file names them."""
    relative: bool = False
    """Whether the points are shares of the width and height, and not pixels."""

    @property
    def label(self) -> str:
        """Their class; "combined" if they are of several."""
        labels = {shape.label for shape in self.shapes}
        return labels.pop() if len(labels) == 1 else "combined"

    def mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Draws the shapes into one mask, (height, width); what lies outside is cut off."""
        mask = np.zeros((height, width), np.uint8)
        for shape in self.shapes:
            points = self._in_pixels(shape, height, width)
            if shape.kind == "box":
                mask |= mask_of_boxes(points.reshape(1, 4), height, width)
            elif shape.kind == "bitmap":
                _paste(mask, shape.code, points[0])
            elif shape.kind == "polygon" and (inside := _inside(points, height, width)).any():
                mask |= inside
            else:  # A line, or a polygon thinner than a pixel.
                # OpenCV counts from the middle of the first pixel, the files from its corner.
                course = np.rint((points - 0.5) * 2**_FRACTION_BITS).astype(np.int32)
                cv2.polylines(mask, [course], False, 1, shift=_FRACTION_BITS)
        return mask > 0

    def refuse_misfit(self, name: str, size: NDArray[np.int64]) -> None:
        """Raises if the shapes cannot be those of an image.

        Args:
            name: Name of the image.
            size: Height and width of the image, px.

        Raises:
            InputError: They are of an image of another size, or a shape lies outside the image.
        """
        height, width = (int(side) for side in size)
        if self.size is not None and self.size != (height, width):
            raise InputError(
                f"'{self.file}' describes image '{name}' as {self.size[0]}x{self.size[1]} "
                f"(height x width), but it is {height}x{width}; give the annotations of "
                "these images"
            )
        all_points = [self._in_pixels(shape, height, width) for shape in self.shapes]
        small = all_points and max(points.max() for points in all_points) <= 1
        if small and not self.relative and min(height, width) > _LARGEST_WITH_SMALL_BOXES:
            raise InputError(
                f"the coordinates of image '{name}' in '{self.file}' seem relative (0..1): none is "
                "larger than 1; multiply them by the width and height of the image"
            )
        for shape, points in zip(self.shapes, all_points, strict=True):
            (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
            if left >= width or top >= height or right <= 0 or bottom <= 0:
                raise InputError(
                    f"{shape.where} of '{self.file}' marks {left:g}..{right:g} (x), "
                    f"{top:g}..{bottom:g} (y), outside image '{name}' of {width}x{height} pixels "
                    "(width x height); give pixels of this image, from its upper left corner"
                )

    def _in_pixels(self, shape: Shape, height: int, width: int) -> NDArray[np.float64]:
        return shape.points * (width, height) if self.relative else shape.points


Boxes: TypeAlias = dict[str | None, Shapes]
"""Image name to its boxes; under None the boxes of all images."""


def read_boxes(path: str | Path, images: ImageSet) -> Boxes:
    """Reads a table of boxes.

    Args:
        path: See `read_table`. Columns `left`, `top`, `right`, `bottom` in pixels of the image, and
            `name` (of the image) or `image` (its path, relative to the table or to the images); one
            row for each box. `xmin`, `ymin`, `xmax`, `ymax`, likewise `x`, `y`, `width`, `height`
            and a few more usual names are understood. Rows whose column `found` is False, as in
            `regions.csv` of a run, are left out.
        images: The images.

    Returns:
        Boxes by image name; without a column that names the image they hold for every image.

    Raises:
        InputError: The table cannot be read, lacks a column, or holds a box that is invalid or
            belongs to no image.
    """
    source = Path(path).expanduser()
    table = read_table(source, "table of boxes")
    table.index += 1
    columns = {column.casefold(): column for column in map(str, table)}
    sides = next((sides for sides in BOX_COLUMNS if columns.keys() >= {*sides}), None)
    if sides is None:
        missing = [side for side in _CORNERS if side not in columns]
        raise InputError(
            f"table of boxes '{source}' has no column '{missing[0]}'{and_more(len(missing))}; it "
            "needs left, top, right and bottom, in pixels of the image"
        )
    if "found" in columns:
        table = table[table[columns["found"]].str.casefold() != "false"]
    corners = corners_of(table[[columns[side] for side in sides]], source, sides)
    shapes = [
        Shape("box", corners[place].reshape(2, 2), f"row {row}")
        for place, row in enumerate(table.index)
    ]
    owner = next((columns[column] for column in IMAGE_COLUMNS if column in columns), None)
    if owner is None:
        return {None: Shapes(source, tuple(shapes))}
    owners = _owner_names(table[owner], source, images)
    refuse_strangers(dict(zip(owners, table[owner], strict=True)), images, "box")
    boxes: dict[str, list[Shape]] = {}
    for name, shape in zip(owners, shapes, strict=True):
        boxes.setdefault(name, []).append(shape)
    return {name: Shapes(source, tuple(chosen)) for name, chosen in boxes.items()}


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


def draw_mask(
    source: Shapes | NDArray[np.float64] | None, height: int, width: int
) -> NDArray[np.bool_]:
    """Draws shapes, or boxes (n, 4), or nothing into a mask, (height, width)."""
    if isinstance(source, Shapes):
        return source.mask(height, width)
    return mask_of_boxes(np.empty((0, 4)) if source is None else source, height, width)


def corners_of(cells: pd.DataFrame, source: Path, sides: Sequence[str]) -> NDArray[np.float64]:
    """Reads the boxes of a table of texts.

    Args:
        cells: (n, 4), text; its index names the rows in messages.
        source: The file, for messages.
        sides: One of `BOX_COLUMNS`.

    Returns:
        (n, 4): left, top, right and bottom, px.

    Raises:
        InputError: A cell is no number, or a box has no width or height.
    """
    # Excel writes a decimal comma in some languages.
    texts = cells.apply(lambda column: column.str.strip().str.replace(",", "."))
    numbers = np.array(texts.apply(pd.to_numeric, errors="coerce"), np.float64)
    remedy = "give numbers with left < right and top < bottom"
    if sides[2] in ("width", "w"):
        numbers[:, 2:] += numbers[:, :2]
        remedy = "give numbers, and a width and height above 0"
    left, top, right, bottom = numbers.T
    bad = np.flatnonzero(~(np.isfinite(numbers).all(1) & (left < right) & (top < bottom)))
    if len(bad):
        first = cells.iloc[int(bad[0])]
        box = ", ".join(f"{side} {cell!r}" for side, cell in first.items())
        raise InputError(
            f"table of boxes '{source}' has an invalid box in row {first.name} ({box})"
            f"{and_more(len(bad))}; {remedy}"
        )
    return numbers


def _inside(points: NDArray[np.float64], height: int, width: int) -> NDArray[np.uint8]:
    """1 in every pixel whose middle is inside a polygon, by the even-odd rule."""
    crossings = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        first, last = np.clip(np.ceil(np.sort([y0, y1]) - 0.5), 0, height).astype(int)
        rows = np.arange(first, last)
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(crossings, axis=1)[:, :width]


def _paste(mask: NDArray[np.uint8], code: bytes, corner: NDArray[np.float64]) -> None:
    """Marks the pixels of a bitmap whose upper left corner is given, x and y."""
    bitmap = np.asarray(cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_GRAYSCALE))
    left, top = (int(np.rint(side)) for side in corner)
    bitmap = bitmap[max(-top, 0) :, max(-left, 0) :]
    part = mask[max(top, 0) :, max(left, 0) :][: bitmap.shape[0], : bitmap.shape[1]]
    part |= bitmap[: part.shape[0], : part.shape[1]] > 0


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
