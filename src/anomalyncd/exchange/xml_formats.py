"""The formats in XML: Pascal VOC and CVAT for images."""

import re
import xml.etree.ElementTree as ET
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.exchange.labelled import Instance, LabelledImage, LabelledRegions
from anomalyncd.io.writing import write_atomically

CVAT_FILE = "annotations.xml"


def write_voc(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes `Annotations/NAME.xml`, the list `ImageSets/Main/default.txt` and `labelmap.txt`.

    Boxes count from 1, and their last pixel belongs to them. Confidences have no place in it. For
    names of classes, see `voc_names`.

    Args:
        labelled: What to write; images without a region have a file without objects.
        folder: An empty folder.
        normal: See `write_labels`.

    Source: host.robots.ox.ac.uk/pascal/VOC, development kit of 2012; the colours of the classes as
    CVAT and Datumaro read them.
    """
    names, classes = [], voc_names(labelled.classes)
    for image in labelled.each_image(normal):
        _write_xml(_voc_annotation(image, classes), folder / "Annotations" / f"{image.name}.xml")
        names.append(image.name)
    _write_lines(names, folder / "ImageSets" / "Main" / "default.txt")
    colours = [
        f"{classes[int(row['id'])]}:{','.join(map(str, _rgb(row['colour'])))}::"
        for row in labelled.chosen_classes(normal).to_dict("records")
    ]
    header = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    _write_lines([*header, *colours], folder / "labelmap.txt")


def voc_names(classes: pd.DataFrame) -> dict[int, str]:
    """Names under which classes are written in Pascal VOC, by their ids.

    A colon or a "#" at the beginning, which mean something else in `labelmap.txt`, becomes "_";
    where another class has that name, the id of the class follows.

    Args:
        classes: All classes, see `LabelledRegions`.
    """
    names = {int(row["id"]): str(row["name"]) for row in classes.to_dict("records")}
    written = {number: re.sub("^#|:", "_", name) for number, name in names.items()}
    for number, name in names.items():
        others = [one.casefold() for other, one in written.items() if other != number]
        if written[number] != name and written[number].casefold() in others:
            written[number] += f" (class {number})"
    return written


def write_cvat(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes `annotations.xml`, CVAT for images 1.1, with a mask for each region.

    A region without anomalous pixels is a box. `source` is "manual" where a person has confirmed
    the class, and "auto" elsewhere.

    Args:
        labelled: What to write.
        folder: An empty folder.
        normal: See `write_labels`.

    Source: docs.cvat.ai, "XML annotation format".
    """
    root = ET.Element("annotations")
    _add(root, "version", "1.1")
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    _add(task, "name", "anomalyncd")
    _add(task, "size", len(labelled.images))
    _add(task, "mode", "annotation")
    labels = ET.SubElement(task, "labels")
    for row in labelled.chosen_classes(normal).to_dict("records"):
        label = ET.SubElement(labels, "label")
        _add(label, "name", row["name"])
        _add(label, "color", row["colour"])
        _add(label, "type", "any")
        ET.SubElement(label, "attributes")
    for number, image in enumerate(labelled.each_image(normal)):
        written = {"id": number, "name": image.file_name}
        size = {"width": image.width, "height": image.height}
        element = ET.SubElement(root, "image", _texts(written | size))
        for instance in image.instances:
            element.append(_cvat_shape(instance))
    _write_xml(root, folder / CVAT_FILE)


def _voc_annotation(image: LabelledImage, classes: dict[int, str]) -> ET.Element:
    root, place = ET.Element("annotation"), PurePosixPath(image.file_name)
    _add(root, "folder", "" if place.parent == PurePosixPath() else place.parent)
    _add(root, "filename", place.name)
    _add(root, "path", image.path)
    size = ET.SubElement(root, "size")
    for side, length in (("width", image.width), ("height", image.height), ("depth", 3)):
        _add(size, side, length)
    _add(root, "segmented", 0)
    for instance in image.instances:
        element = ET.SubElement(root, "object")
        _add(element, "name", classes[instance.class_id])
        _add(element, "pose", "Unspecified")
        for flag in ("truncated", "occluded", "difficult"):
            _add(element, flag, 0)
        left, top, right, bottom = instance.box
        box = ET.SubElement(element, "bndbox")
        sides = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
        for side, edge in sides.items():
            _add(box, side, edge)
    return root


def _cvat_shape(instance: Instance) -> ET.Element:
    left, top, right, bottom = instance.box
    origin = "manual" if instance.confirmed else "auto"
    common = {"label": instance.class_name, "source": origin, "occluded": 0, "z_order": 0}
    if not instance.marks.any():
        corners = {"xtl": left, "ytl": top, "xbr": right, "ybr": bottom}
        return ET.Element("box", _texts(common | corners))
    place = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    rle = ", ".join(map(str, _runs(instance.box_marks)))
    return ET.Element("mask", _texts(common | {"rle": rle} | place))


def _runs(marks: NDArray[np.bool_]) -> list[int]:
    """Lengths of alternating runs, row by row, the first of them unmarked."""
    lengths = [len(list(run)) for _, run in groupby(marks.ravel().tolist())]
    return [0, *lengths] if marks.flat[0] else lengths


def _rgb(colour: str) -> tuple[int, int, int]:
    digits = str(colour).removeprefix("#")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def _add(parent: ET.Element, tag: str, content: object) -> None:
    ET.SubElement(parent, tag).text = str(content)


def _texts(attributes: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in attributes.items()}


def _write_xml(root: ET.Element, path: Path) -> None:
    ET.indent(root)
    with write_atomically(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _write_lines(lines: list[str], path: Path) -> None:
    with write_atomically(path) as temporary:
        text = "".join(f"{line}\n" for line in lines)
        temporary.write_text(text, encoding="utf-8", newline="\n")
