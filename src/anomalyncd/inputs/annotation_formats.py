"""The formats of annotations: each has one reader, which yields the images and their shapes."""

import base64
import functools
import json
import re
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.inputs.boxes import Shape, Shapes
from anomalyncd.inputs.run_lengths import brush_pixels, coco_counts, pixels_of_runs
from anomalyncd.io.decoding import decode_bytes, unreadable

Found: TypeAlias = Iterator[tuple[tuple[str, ...], Shapes]]
"""For each image the names that it may have, the most certain first, and its shapes."""

CLASS_LISTS = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names")
"""Names of the files that list the classes of YOLO labels."""
FORMATS = (
    "COCO (.json), Label Studio (.json), CVAT for images (.xml), or a folder of YOLO (.txt), "
    "Pascal VOC (.xml) or labelme (.json) files that are named like the images"
)
"""All formats, for messages."""

_Pair: TypeAlias = Sequence[float] | NDArray[np.float64]

_CORNERS_OF_A_CIRCLE = 64
_FARTHEST = 1e9
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_DAMAGED = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError),
    *(ET.ParseError, yaml.YAMLError, cv2.error),
)


class _InvalidShapeError(ValueError):
    """A shape that marks nothing, or on no image."""


def read_file(path: Path, stem: str, needed: bool) -> list[tuple[tuple[str, ...], Shapes]]:
    """Reads a file of annotations in any known format, which is recognised by its content.

    Args:
        path: The file.
        stem: Its name; in formats with a file for each image, the name of the image.
        needed: Whether an unknown format is an error.

    Returns:
        For each image in the file the names that it may have, and its shapes.

    Raises:
        InputError: The file is damaged, of an unknown format, or holds an invalid shape.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content: Any = text
        if path.suffix.lower() == ".json":
            content = json.loads(text)
        elif path.suffix.lower() == ".xml":
            content = ET.fromstring(text)
        for is_of, read in _READERS:
            if is_of(content):
                return list(read(path, stem, content))
    except OSError as error:
        raise unreadable(path, "annotation file", error) from error
    except InputError:
        raise
    except _InvalidShapeError as error:
        raise InputError(
            f"annotation file '{path}' is invalid: {error}; correct or remove it"
        ) from error
    except _DAMAGED as error:
        raise InputError(
            f"annotation file '{path}' is damaged ({error!r}); export it again"
        ) from error
    if needed:
        raise InputError(f"the format of '{path}' is not known; expected {FORMATS}")
    return []


def label_studio_names(task: Any) -> tuple[str, ...]:
    """Returns the paths of the image of a task of Label Studio, the most certain first.

    Uploaded files have eight digits before their own name.

    Raises:
        ValueError: The task names no image.
    """
    texts = [text for text in task["data"].values() if isinstance(text, str)]
    paths = []
    for text in (*texts, str(task.get("file_upload") or "")):
        address = urllib.parse.urlsplit(text)
        linked = urllib.parse.parse_qs(address.query).get("d", [])
        path = linked[0] if linked else urllib.parse.unquote(address.path)
        if Path(path).suffix.lower() in IMAGE_SUFFIXES:
            last = path.rsplit("/", 1)[-1]
            paths += [path, _UPLOAD.sub("", last, count=1)] if _UPLOAD.match(last) else [path]
    if not paths:
        raise _InvalidShapeError(f"task {task.get('id', '')} names no image file in its data")
    return tuple(paths)


def _shape(kind: Any, points: Any, where: str, label: object) -> Shape:
    """A shape that is checked to have an extent."""
    corners = np.asarray(points, np.float64).reshape(-1, 2)
    fewest = {"polygon": 3}.get(kind, 2)
    if not (np.abs(corners) <= _FARTHEST).all():
        raise _InvalidShapeError(f"{where} has coordinates that are no pixels of an image")
    if len(corners) < fewest:
        raise _InvalidShapeError(
            f"{where} has {len(corners)} points, but a {kind} needs {fewest} or more"
        )
    if kind == "box":
        corners = np.array([corners.min(axis=0), corners.max(axis=0)])
        if (corners[0] == corners[1]).any():
            raise _InvalidShapeError(f"{where} is a box without a width or height")
    return Shape(kind, corners, where, "" if label is None else str(label))


def _turned_box(
    corner: _Pair, sides: _Pair, turn: float, pivot: _Pair
) -> tuple[str, NDArray[np.float64]]:
    """A box, or the polygon that it is once turned by degrees clockwise around a pivot."""
    (x, y), (width, height) = corner, sides
    if not turn:
        return "box", np.array([[x, y], [x + width, y + height]])
    points = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    return "polygon", (points - pivot) @ _rotation(turn) + pivot


def _ellipse(middle: _Pair, radii: _Pair, turn: float = 0) -> NDArray[np.float64]:
    around = np.linspace(0, 2 * np.pi, _CORNERS_OF_A_CIRCLE, endpoint=False)
    across, down = radii[0] * np.cos(around), radii[1] * np.sin(around)
    return np.stack([across, down], axis=1) @ _rotation(turn) + middle


def _rotation(turn: float) -> NDArray[np.float64]:
    """Turns points (n, 2) by degrees clockwise, as `points @ rotation`."""
    sine, cosine = np.sin(np.deg2rad(turn)), np.cos(np.deg2rad(turn))
    return np.array([[cosine, sine], [-sine, cosine]])


def _bitmap(pixels: NDArray[np.bool_], corner: _Pair, where: str, label: object) -> Shape | None:
    """A shape of pixels; None where none is marked."""
    if not pixels.any():
        return None
    _, code = cv2.imencode(".png", pixels.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
    left, top = corner
    points = np.array([[left, top], [left + pixels.shape[1], top + pixels.shape[0]]], np.float64)
    return Shape("bitmap", points, where, str(label), code.tobytes())


def _size(height: Any, width: Any) -> tuple[int, int] | None:
    return (int(height), int(width)) if height and width else None


def _read_coco(path: Path, _: str, content: Any) -> Found:
    classes = {one["id"]: one["name"] for one in content.get("categories", [])}
    shapes: dict[Any, list[Shape | None]] = {image["id"]: [] for image in content["images"]}
    for number, one in enumerate(content["annotations"], 1):
        where = f"annotation {one.get('id', number)}"
        label, drawn = classes.get(one.get("category_id"), ""), one.get("segmentation")
        if one["image_id"] not in shapes:
            raise _InvalidShapeError(f"{where} is of image {one['image_id']}, which is not listed")
        on_image = shapes[one["image_id"]]
        if isinstance(drawn, dict):
            counts, (height, width) = drawn["counts"], drawn["size"]
            counts = coco_counts(counts) if isinstance(counts, str) else counts
            on_image.append(
                _bitmap(pixels_of_runs(counts, height, width, "F"), (0, 0), where, label)
            )
        elif drawn:
            on_image += [_shape("polygon", ring, where, label) for ring in drawn]
        else:
            x, y, width, height = one["bbox"]
            on_image.append(_shape("box", [x, y, x + width, y + height], where, label))
    for image in content["images"]:
        size = _size(image.get("height"), image.get("width"))
        yield (image["file_name"],), Shapes(path, _drawn(shapes[image["id"]]), size)


def _read_label_studio(path: Path, _: str, content: Any) -> Found:
    for number, task in enumerate(content, 1):
        where = f"task {task.get('id', number)}"
        results = [
            result
            for annotation in task.get("annotations", task.get("completions", ()))
            if not annotation.get("was_cancelled")
            for result in annotation["result"]
            if "original_width" in result and _AREAS & {*result["value"]}
        ]
        size = None
        shapes = []
        for result in results:
            size = int(result["original_height"]), int(result["original_width"])
            shapes.append(_label_studio_shape(result["value"], size, where))
        yield label_studio_names(task), Shapes(path, _drawn(shapes), size)


def _label_studio_shape(value: Any, size: tuple[int, int], where: str) -> Shape | None:
    """A shape whose coordinates are percents of the width and height."""
    height, width = size
    label = next((names[0] for key, names in value.items() if key.endswith("labels") and names), "")
    percent = np.array([width, height]) / 100
    if "rle" in value:
        return _bitmap(brush_pixels(value["rle"], height, width), (0, 0), where, label)
    if "points" in value:
        return _shape("polygon", np.array(value["points"]) * percent, where, label)
    corner, turn = np.array([value["x"], value["y"]]) * percent, value.get("rotation", 0)
    if "radiusX" in value:
        radii = np.array([value["radiusX"], value["radiusY"]]) * percent
        return _shape("polygon", _ellipse(corner, radii, turn), where, label)
    sides = np.array([value["width"], value["height"]]) * percent
    return _shape(*_turned_box(corner, sides, turn, corner), where, label)


def _read_cvat(path: Path, _: str, content: ET.Element) -> Found:
    if content.find("track") is not None:
        raise _InvalidShapeError("it describes a video; export it as 'CVAT for images'")
    for image in content.iter("image"):
        where = f"image '{image.attrib['name']}'"
        size = _size(image.get("height"), image.get("width"))
        shapes = [_cvat_shape(one.tag, one.attrib, where) for one in image]
        yield (image.attrib["name"],), Shapes(path, _drawn(shapes), size)


def _cvat_shape(tag: str, written: dict[str, str], where: str) -> Shape | None:
    def numbers(*names: str) -> list[float]:
        return [float(written[name]) for name in names]

    label, turn = written.get("label", ""), float(written.get("rotation", 0))
    if tag in ("polygon", "polyline"):
        points = [point.split(",") for point in written["points"].split(";")]
        return _shape("polygon" if tag == "polygon" else "line", points, where, label)
    if tag == "box":
        left, top, right, bottom = numbers("xtl", "ytl", "xbr", "ybr")
        middle = ((left + right) / 2, (top + bottom) / 2)
        box = _turned_box((left, top), (right - left, bottom - top), turn, middle)
        return _shape(*box, where, label)
    if tag == "ellipse":
        x, y, *radii = numbers("cx", "cy", "rx", "ry")
        return _shape("polygon", _ellipse((x, y), radii, turn), where, label)
    if tag == "mask":
        left, top, width, height = map(int, numbers("left", "top", "width", "height"))
        runs = pixels_of_runs([int(run) for run in written["rle"].split(",")], height, width, "C")
        return _bitmap(runs, (left, top), where, label)
    return None


def _read_voc(path: Path, stem: str, content: ET.Element) -> Found:
    shapes = []
    for number, one in enumerate(content.iter("object"), 1):
        left, top, right, bottom = (
            float(one.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        # The first pixel is 1, and the last one belongs to the box.
        box = [left - 1, top - 1, right, bottom]
        shapes.append(_shape("box", box, f"object {number}", one.findtext("name")))
    sides = (content.findtext(f"size/{side}", "0") for side in ("height", "width"))
    size = _size(*map(float, sides))
    yield (stem, content.findtext("filename") or stem), Shapes(path, tuple(shapes), size)


def _read_yolo(path: Path, stem: str, content: str) -> Found:
    classes, shapes = _yolo_classes(path.parent), []
    for number, line in enumerate(content.splitlines(), 1):
        index, *numbers = map(float, line.split()) if line.strip() else (0,)
        label = classes.get(int(index), f"class {int(index)}")
        if len(numbers) in (4, 5):  # The fifth is the confidence of a detection.
            x, y, width, height = numbers[:4]
            box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            shapes.append(_shape("box", box, f"line {number}", label))
        elif numbers:
            shapes.append(_shape("polygon", numbers, f"line {number}", label))
    yield (stem,), Shapes(path, tuple(shapes), relative=True)


@functools.lru_cache
def _yolo_classes(folder: Path) -> dict[int, str]:
    """The names of the classes, from a list in the folder of the labels or up to two above it."""
    places = (place / name for place in (folder, *folder.parents[:2]) for name in CLASS_LISTS)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return {}
    text = found.read_text(encoding="utf-8-sig")
    is_yaml = found.suffix in (".yaml", ".yml")
    names = yaml.safe_load(text)["names"] if is_yaml else text.splitlines()
    listed = dict(names if isinstance(names, dict) else enumerate(names))
    # References let a short file name lists of lists without end.
    if not all(isinstance(name, str | int | float) for name in listed.values()):
        raise ValueError(f"{found.name} names a class that is no text")
    return listed


def _read_labelme(path: Path, stem: str, content: Any) -> Found:
    shapes = []
    for number, one in enumerate(content["shapes"], 1):
        where, label = f"shape {number}", one["label"]
        kind, points = one.get("shape_type", "polygon"), np.array(one["points"], np.float64)
        if kind == "mask":
            code = base64.b64decode(one["mask"])
            pixels = decode_bytes(code, "mask", f"{where} of {path}").pixels
            marked = pixels if pixels.ndim == 2 else pixels[..., :3].max(axis=2)
            shapes.append(_bitmap(marked > 0, points[0], where, label))
        elif kind == "circle":
            radius = float(np.hypot(*(points[1] - points[0])))
            circle = _ellipse(points[0], (radius, radius))
            shapes.append(_shape("polygon", circle, where, label))
        elif kind in _LABELME_KINDS:
            shapes.append(_shape(_LABELME_KINDS[kind], points, where, label))
    size = _size(content.get("imageHeight"), content.get("imageWidth"))
    yield (stem, content.get("imagePath") or stem), Shapes(path, _drawn(shapes), size)


def _drawn(shapes: Iterable[Shape | None]) -> tuple[Shape, ...]:
    return tuple(shape for shape in shapes if shape is not None)


_RESULTS, _AREAS = {"annotations", "completions"}, {"points", "rle", "height", "radiusX"}
_LABELME_KINDS = {
    **{"polygon": "polygon", "rotation": "polygon", "rectangle": "box"},
    **{"line": "line", "linestrip": "line"},
}
_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Path, str, Any], Found]], ...] = (
    (lambda read: isinstance(read, dict) and {"images", "annotations"} <= {*read}, _read_coco),
    (lambda read: isinstance(read, dict) and "shapes" in read, _read_labelme),
    (
        lambda read: isinstance(read, list) and any(_RESULTS & {*task} for task in read),
        _read_label_studio,
    ),
    (lambda read: getattr(read, "tag", None) == "annotations", _read_cvat),
    (lambda read: getattr(read, "tag", None) == "annotation", _read_voc),
    (lambda read: isinstance(read, str), _read_yolo),
)
