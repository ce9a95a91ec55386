"""COCO: one JSON file with a box and polygons for each region."""

import math
from pathlib import Path
from typing import Any

from anomalyncd.exchange.labelled import Instance, LabelledRegions
from anomalyncd.exchange.plain_json import write_plain_json

FILE = "annotations.json"


def write_coco(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes `annotations.json` for object detection and instance segmentation.

    Ids of categories are those of the classes. `score` is the confidence in the class; the fields
    `region`, `anomaly_score` and `confirmed` are our own, and other programs pass over them. Holes
    of a region are not in its polygons, but are left out of its `area`.

    Args:
        labelled: What to write.
        folder: An empty folder.
        normal: See `write_labels`.

    Source: cocodataset.org, "Data format".
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(labelled.each_image(normal), 1):
        size = {"height": image.height, "width": image.width}
        images.append({"id": number, "file_name": image.file_name} | size)
        for instance in image.instances:
            place = {"id": len(annotations) + 1, "image_id": number}
            annotations.append(place | _annotation(instance))
    categories = [
        {"id": int(row["id"]), "name": str(row["name"]), "supercategory": str(row["kind"])}
        for row in labelled.chosen_classes(normal).to_dict("records")
    ]
    info = {"description": "Labels of regions, written by anomalyncd"}
    lists = {"images": images, "annotations": annotations, "categories": categories}
    write_plain_json(folder / FILE, {"info": info} | lists)


def _annotation(instance: Instance) -> dict[str, Any]:
    left, top, right, bottom = instance.box
    known = {"score": instance.confidence, "anomaly_score": instance.score}
    return {
        "category_id": instance.class_id,
        "bbox": [left, top, right - left, bottom - top],
        "area": int(instance.box_marks.sum()),
        "segmentation": [ring.ravel().tolist() for ring in instance.outlines()],
        "iscrowd": 0,
        "region": instance.region,
        "confirmed": instance.confirmed,
    } | {name: value for name, value in known.items() if math.isfinite(value)}
