"""Label Studio: tasks with a brush mask for each region, and the config of the project."""

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from anomalyncd.exchange.labelled import Instance, LabelledImage, LabelledRegions
from anomalyncd.exchange.plain_json import write_plain_json
from anomalyncd.io.writing import write_atomically

FILE = "tasks.json"
CONFIG = "labels.xml"
_FILES = "/data/local-files/?d="
_LONGEST_RUN = 1 << 16
_RUN_BITS = (3, 4, 8, 16)
"""Lengths of the numbers that may hold a run; every run here is written with the longest."""


def write_label_studio(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes `tasks.json` to import, and `labels.xml`, the labelling config of the project.

    What a person has confirmed is an annotation, everything else a prediction. Images are named
    as local files below the folder of the images, which has to be the document root of Label
    Studio's local storage. A region without anomalous pixels is a rectangle.

    Args:
        labelled: What to write.
        folder: An empty folder.
        normal: See `write_labels`.

    Source: labelstud.io, "Import pre-annotated data" and the tag BrushLabels.
    """
    tasks = [_task(image) for image in labelled.each_image(normal)]
    write_plain_json(folder / FILE, tasks)
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image", zoom="true")
    for tag in ("BrushLabels", "RectangleLabels", "PolygonLabels"):
        labels = ET.SubElement(view, tag, name=_tool(tag.lower()), toName="image")
        for row in labelled.chosen_classes(normal).to_dict("records"):
            ET.SubElement(labels, "Label", value=str(row["name"]), background=str(row["colour"]))
    ET.indent(view)
    with write_atomically(folder / CONFIG) as temporary:
        ET.ElementTree(view).write(temporary, encoding="utf-8")


def brush_code(marks: NDArray[np.bool_]) -> list[int]:
    """Encodes a mask (H, W) as Label Studio does: RGBA in runs of words of eight bits.

    Source: thi.ng/rle-pack.
    """
    flat = np.repeat(marks.ravel(), 4)
    starts = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=2 if len(flat) else 0))
    cuts = np.unique(np.concatenate([starts, np.arange(0, len(flat), _LONGEST_RUN)]))
    lengths = np.diff(np.append(cuts, len(flat)))
    values = np.where(flat[cuts], 255, 0)
    # A run: one bit, two bits for the length of the number, the number less one, the word.
    runs = (1 << 26) | (3 << 24) | ((lengths - 1) << 8) | values
    header = "".join([format(len(flat), "032b"), "00111", *(f"{n - 1:04b}" for n in _RUN_BITS)])
    bits = np.concatenate(
        [np.array([*header], np.uint8), (runs[:, None] >> np.arange(26, -1, -1) & 1).ravel()]
    )
    return [int(byte) for byte in np.packbits(bits.astype(np.uint8))]


def _task(image: LabelledImage) -> dict[str, Any]:
    said = [_result(one, image) for one in image.instances if one.confirmed]
    found = [one for one in image.instances if not one.confirmed]
    task: dict[str, Any] = {"data": {"image": _FILES + quote(image.file_name)}}
    if said:
        task["annotations"] = [{"result": said}]
    prediction: dict[str, Any] = {
        "model_version": "anomalyncd",
        "result": [_result(one, image) for one in found],
    }
    confidences = [one.confidence for one in found if math.isfinite(one.confidence)]
    if confidences:
        prediction["score"] = min(confidences)
    return task | {"predictions": [prediction]}


def _result(instance: Instance, image: LabelledImage) -> dict[str, Any]:
    left, top, right, bottom = instance.box
    value: dict[str, Any]
    if instance.marks.any():
        kind, marks = "brushlabels", np.zeros((image.height, image.width), np.bool_)
        marks[top:bottom, left:right] = instance.box_marks
        value = {"format": "rle", "rle": brush_code(marks)}
    else:
        kind = "rectanglelabels"
        place = {"x": 100 * left / image.width, "y": 100 * top / image.height, "rotation": 0}
        sides = ((right - left) / image.width, (bottom - top) / image.height)
        value = place | {"width": 100 * sides[0], "height": 100 * sides[1]}
    result: dict[str, Any] = {
        "id": f"region-{instance.region}",
        "type": kind,
        "from_name": _tool(kind),
        "to_name": "image",
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "value": value | {kind: [instance.class_name]},
    }
    if math.isfinite(instance.confidence):
        result["score"] = instance.confidence
    return result


def _tool(kind: str) -> str:
    return kind.removesuffix("labels")
