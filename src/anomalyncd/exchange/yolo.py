"""YOLO: copies of the images, and a text file with one line a box for each of them."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from anomalyncd.exchange.labelled import LabelledImage, LabelledRegions
from anomalyncd.io.writing import write_atomically


def write_yolo(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes `data.yaml`, `labels/NAME.txt` and copies of the images in `images/`.

    A line is the index of the class, then the middle, width and height of the box as shares of the
    width and height of the image. Classes are counted from 0 in the order of their ids. Training
    and validation are the same images; divide them before you train. For names, see `yolo_names`.

    Args:
        labelled: What to write; images without a region have an empty text file.
        folder: An empty folder.
        normal: See `write_labels`.

    Raises:
        InputError: The file of an image is missing.

    Source: docs.ultralytics.com, "Object detection datasets".
    """
    chosen = labelled.chosen_classes(normal)
    indices = {int(number): index for index, number in enumerate(chosen["id"])}
    names = yolo_names(labelled.images["name"].tolist())
    for image in labelled.each_image(normal):
        image = replace(image, name=names[image.name])
        copy = folder / "images" / image.file_name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.file(), copy)
        _write(folder / "labels" / f"{image.name}.txt", "".join(_lines(image, indices)))
    content = {
        "train": "images",
        "val": "images",
        "nc": len(chosen),
        "names": {index: str(name) for index, name in enumerate(chosen["name"])},
    }
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    _write(folder / "data.yaml", text)


def yolo_names(names: Sequence[str]) -> dict[str, str]:
    """Names under which images and their labels are written, by the names of the images.

    Ultralytics finds labels by the last folder `images` in the path of an image, so a further
    folder of that name is called `images_`, with as many underscores as no other folder has.

    Args:
        names: Names of all images.
    """
    folders = {part.casefold() for name in names for part in name.split("/")[:-1]}
    other = "images_"
    while other in folders:
        other += "_"
    written = {}
    for name in names:
        *parts, last = name.split("/")
        written[name] = "/".join([other if part == "images" else part for part in parts] + [last])
    return written


def _lines(image: LabelledImage, indices: dict[int, int]) -> list[str]:
    lines = []
    for instance in image.instances:
        left, top, right, bottom = instance.box
        shares = (
            *((left + right) / 2 / image.width, (top + bottom) / 2 / image.height),
            *((right - left) / image.width, (bottom - top) / image.height),
        )
        numbers = " ".join(f"{share:.8f}" for share in shares)
        lines.append(f"{indices[instance.class_id]} {numbers}\n")
    return lines


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
