"""FiftyOne: its own layout of images with boxes."""

import math
from pathlib import Path
from typing import Any

from anomalyncd.exchange.labelled import Instance, LabelledImage, LabelledRegions
from anomalyncd.exchange.plain_json import write_plain_json

FILE = "labels.json"


def write_fiftyone(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes a `FiftyOneImageDetectionDataset`: `labels.json`, and `data.json` with the paths.

    Boxes are left, top, width and height as shares of the width and height of the image. Images
    stay where they are. Masks have no place in it.

    Args:
        labelled: What to write.
        folder: An empty folder.
        normal: See `write_labels`.

    Source: docs.voxel51.com, "FiftyOneImageDetectionDataset".
    """
    classes = labelled.chosen_classes(normal)
    indices = {int(number): index for index, number in enumerate(classes["id"])}
    labels: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for image in labelled.each_image(normal):
        paths[image.file_name] = image.path  # Its suffix is taken off when it is read.
        labels[image.name] = [_detection(one, image, indices) for one in image.instances] or None
    names = [str(name) for name in classes["name"]]
    write_plain_json(folder / FILE, {"classes": names, "labels": labels})
    write_plain_json(folder / "data.json", paths)


def _detection(instance: Instance, image: LabelledImage, indices: dict[int, int]) -> dict[str, Any]:
    left, top, right, bottom = instance.box
    detection: dict[str, Any] = {
        "label": indices[instance.class_id],
        "bounding_box": [
            *(left / image.width, top / image.height),
            *((right - left) / image.width, (bottom - top) / image.height),
        ],
        "attributes": {"region": instance.region, "confirmed": instance.confirmed},
    }
    if math.isfinite(instance.confidence):
        detection["confidence"] = instance.confidence
    return detection
