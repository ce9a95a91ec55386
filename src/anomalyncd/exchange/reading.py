"""Labels that people wrote with other programs: a class for a region, a box or a whole image."""

import json
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.exchange import coco, fiftyone, label_studio, xml_formats
from anomalyncd.exchange.class_folders import LIST, read_class_folders
from anomalyncd.exchange.writing import TABLE
from anomalyncd.exchange.yolo import yolo_names
from anomalyncd.inputs.annotation_formats import label_studio_names
from anomalyncd.inputs.annotations import ImageNames, holds_annotations, read_shapes
from anomalyncd.inputs.boxes import BOX_COLUMNS, IMAGE_COLUMNS, Shape, Shapes, corners_of
from anomalyncd.inputs.mask_files import decode_mask
from anomalyncd.io.decoding import unreadable
from anomalyncd.io.tables import is_table, read_table

ROW_COLUMNS = ("id", "name", "left", "top", "right", "bottom", "class_name", "class_id", "from")

_INDEX_FILES = (TABLE, coco.FILE, xml_formats.CVAT_FILE, label_studio.FILE, fiftyone.FILE)
_CLASS_COLUMNS = ("class_name", "label", "class")
_Row: TypeAlias = tuple[str, str, float, float, float, float, str, str, str]
_WHOLE = (math.nan, math.nan, math.nan, math.nan)
_DAMAGED = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
    OverflowError,
)


def read_labels(path: str | Path, images: pd.DataFrame) -> pd.DataFrame:
    """Reads classes that people gave to regions, boxes or whole images.

    Every class in the file counts as said by a person. Predictions of Label Studio do not.

    Args:
        path: A table with `class_name`, `label` or `class`, and either `id` (of a region) or `name`
            (of an image) with or without `left`, `top`, `right`, `bottom`; annotations of COCO,
            Label Studio, CVAT for images or FiftyOne; a folder of YOLO, Pascal VOC or labelme; a
            folder that holds a folder of images or crops for each class; or a folder that
            `write_labels` wrote.
        images: The images: `name`, `height` and `width` (px).

    Returns:
        One row a statement: `id` (of a region, "" where it is not known), `name` of the image,
        `left`, `top`, `right`, `bottom` (px; NaN for a whole image, or where only the region is
        known), `class_name`, `class_id` ("" unless `write_labels` wrote it), and `from`, where it
        is written. An image that is not among `images` has the name by which the file calls it.
        `match_regions` finds the regions.

    Raises:
        InputError: The format is unknown, a file is damaged or of images of another size, or no
            label is in it.

    Source: our own.
    """
    source = Path(path).expanduser()
    names = [str(name) for name in images["name"]]
    if source.is_dir():
        source = next((source / one for one in _INDEX_FILES if (source / one).is_file()), source)
    if source.is_file() and is_table(source):
        rows = _table_rows(source, names)
    elif source.is_dir() and ((source / LIST).is_file() or not holds_annotations(source, names)):
        rows = _folder_rows(source, names)
    elif source.exists():
        rows = _annotation_rows(source, images)
    else:
        raise InputError(f"'{source}' does not exist; check the path of the labels")
    if not rows:
        raise InputError(f"no label is in '{source}'; give classes to regions or images first")
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS))


def _table_rows(source: Path, names: Sequence[str]) -> list[_Row]:
    table = read_table(source, "table of labels")
    table.index += 1
    columns = {column.casefold(): column for column in map(str, table)}

    def find(wanted: Sequence[str]) -> str | None:
        return next((columns[one] for one in wanted if one in columns), None)

    label, region, owner = find(_CLASS_COLUMNS), find(("id",)), find(IMAGE_COLUMNS)
    class_id = find(("class_id",))
    if label is None or (region is None and owner is None):
        lacking = "'class_name'" if label is None else "'id' or 'name'"
        raise InputError(
            f"table of labels '{source}' has no column {lacking}; it needs class_name, and the id "
            "of a region or the name of an image"
        )
    # A blank cell says nothing about its region.
    table = table[table[label].ne("")]
    sides = next((sides for sides in BOX_COLUMNS if columns.keys() >= {*sides}), None)
    boxes = np.full((len(table), 4), math.nan)
    if sides is not None:
        texts = table[[columns[side] for side in sides]]
        drawn = (texts != "").any(axis=1).to_numpy()
        boxes[drawn] = corners_of(texts[drawn], source, sides)
    finder = _Finder(names, source)
    rows = []
    for (row, cells), (left, top, right, bottom) in zip(table.iterrows(), boxes, strict=True):
        number = "" if region is None else str(cells[region]).strip()
        name = "" if owner is None else finder.find(str(cells[owner]))
        number_of_class = "" if class_id is None else str(cells[class_id]).strip()
        said = (str(cells[label]), number_of_class, f"row {row}")
        rows.append((number, name, left, top, right, bottom, *said))
    return rows


def _folder_rows(source: Path, names: Sequence[str]) -> list[_Row]:
    finder = _Finder(names, source)
    return [
        (str(row["id"]), finder.find(row["name"]), *_WHOLE, *said)
        for row in read_class_folders(source).to_dict("records")
        for said in [(row["class_name"], row["class_id"], row["from"])]
    ]


def _annotation_rows(source: Path, images: pd.DataFrame) -> list[_Row]:
    sizes = {
        str(name): (int(height), int(width))
        for name, height, width in zip(
            images["name"], images["height"], images["width"], strict=True
        )
    }
    content = _json(source) if source.suffix.lower() == ".json" else None
    try:
        if isinstance(content, dict) and isinstance(content.get("labels"), dict):
            return list(_fiftyone_rows(content, sizes, source))
        rows = []
        if isinstance(content, list):
            rows = list(_choice_rows(content, list(sizes), source))
            if not any(isinstance(task, dict) and task.get("annotations") for task in content):
                raise InputError(
                    f"'{source}' holds predictions, but no annotation of a person; submit the "
                    "tasks in Label Studio, then export them as JSON"
                )
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(
            f"label file '{source}' is damaged ({error!r}); export it again"
        ) from error
    renamed = _renamed(source, list(sizes))
    for found, _, shapes in read_shapes(source, [*sizes, *renamed]):
        name = renamed.get(found, found)
        size = sizes.get(name)
        if size is not None:
            shapes.refuse_misfit(name, np.array(size))
        rows += _shape_rows(name, shapes, size or shapes.size or (1, 1))
    return rows


def _renamed(source: Path, names: Sequence[str]) -> dict[str, str]:
    """Names of images by those that they have in a folder of YOLO, where these differ."""
    written = {new: old for old, new in yolo_names(names).items() if new != old}
    if not written or not source.is_dir():
        return {}
    folders = {path.name for path in source.rglob("*") if path.is_dir()}
    return {new: old for new, old in written.items() if folders >= {*new.split("/")[:-1]}}


def _shape_rows(name: str, shapes: Shapes, size: tuple[int, int]) -> Iterator[_Row]:
    """One row a shape; the polygons of one COCO annotation are one."""
    for _, together in groupby(enumerate(shapes.shapes), _instance_of):
        parts = [shape for _, shape in together]
        boxes = np.array([_extent(part, shapes, size) for part in parts])
        corners = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
        left, top, right, bottom = (float(edge) for edge in corners)
        where = f"{parts[0].where} of '{shapes.file.name}'"
        yield ("", name, left, top, right, bottom, parts[0].label, "", where)


def _instance_of(numbered: tuple[int, Shape]) -> str | int:
    number, shape = numbered
    is_of_coco = shape.kind == "polygon" and shape.where.startswith("annotation ")
    return shape.where if is_of_coco else number


def _extent(shape: Shape, shapes: Shapes, size: tuple[int, int]) -> NDArray[np.float64]:
    """Left, top, right and bottom of a shape, px; of a bitmap that of its marked pixels."""
    if shape.kind == "bitmap":
        mask, corner = decode_mask(shape.code), np.rint(shape.points[0])
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        ends = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        return np.asarray(np.array(ends, np.float64) + np.tile(corner, 2))
    points = shape.points * (size[1], size[0]) if shapes.relative else shape.points
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _fiftyone_rows(
    content: dict[str, Any], sizes: dict[str, tuple[int, int]], source: Path
) -> Iterator[_Row]:
    finder, classes = _Finder(list(sizes), source), content.get("classes") or []
    for text, labels in content["labels"].items():
        name = finder.find(text)
        height, width = sizes.get(name, (1, 1))
        for number, one in enumerate(labels or (), 1):
            left, top, across, down = (float(share) for share in one["bounding_box"])
            label = one["label"]
            box = (left * width, top * height, (left + across) * width, (top + down) * height)
            label = classes[label] if isinstance(label, int) else str(label)
            yield ("", name, *box, label, "", f"detection {number} of '{text}'")


def _choice_rows(tasks: list[Any], names: Sequence[str], source: Path) -> Iterator[_Row]:
    """The classes that people gave to whole images in Label Studio."""
    finder = ImageNames(names)
    for number, task in enumerate(tasks, 1):
        for annotation in task.get("annotations") or ():
            for result in () if annotation.get("was_cancelled") else annotation["result"]:
                choices = result["value"].get("choices")
                if choices and "original_width" not in result:
                    name = finder.find(label_studio_names(task), source)
                    where = f"task {task.get('id', number)}"
                    yield ("", name, *_WHOLE, str(choices[0]), "", where)


def _json(source: Path) -> Any:
    try:
        return json.loads(source.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise unreadable(source, "label file", error) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"label file '{source}' is damaged ({error}); export it again") from error


class _Finder:
    """Finds images by their names as they are, or by their paths."""

    def __init__(self, names: Sequence[str], source: Path) -> None:
        self._names, self._source = set(names), source
        self._by_path = ImageNames(names)

    def find(self, text: str) -> str:
        return text if text in self._names else self._by_path.find((text,), self._source)
