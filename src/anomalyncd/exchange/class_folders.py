"""A folder for each class, with a crop of each of its regions."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.exchange.labelled import LabelledRegions
from anomalyncd.images.pixels import IMAGE_SUFFIXES, read_image
from anomalyncd.io.files import files_by_name
from anomalyncd.io.tables import read_table, write_table
from anomalyncd.io.writing import write_atomically

LIST = "classes.csv"
_UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f]|^\.|[. ]$')
_CROP = re.compile(r"(?P<name>.+)__region-(?P<id>[^/]+)")


def write_class_folders(labelled: LabelledRegions, folder: Path, normal: bool) -> None:
    """Writes `CLASS/NAME__region-ID.png`, the box of each region cut out of its image.

    A class without a region has no folder, because torchvision refuses empty ones. Slashes in names
    of images become `%2F`. The list `classes.csv` says which class each folder is.

    Args:
        labelled: What to write; images without a region have no crop.
        folder: An empty folder.
        normal: See `write_labels`.

    Raises:
        InputError: The file of an image is missing or damaged.

    Source: the layout of torchvision's `ImageFolder`.
    """
    classes = labelled.chosen_classes(normal)
    folders = _folder_names(classes)
    table = classes.assign(folder=[folders[int(number)] for number in classes["id"]])
    write_table(table[["folder", "id", "name"]], folder / LIST)
    for image in labelled.each_image(normal):
        pixels = read_image(image.file()) if image.instances else None
        for instance in image.instances:
            left, top, right, bottom = instance.crop
            name = f"{_safe(image.name)}__region-{_safe(instance.region)}.png"
            assert pixels is not None
            crop = pixels[top:bottom, left:right]
            _write_png(crop, folder / folders[instance.class_id] / name)


def read_class_folders(folder: Path) -> pd.DataFrame:
    """Reads which images lie in which of the folders.

    Args:
        folder: A folder for each class, with images or with the crops of `write_class_folders`.
            Images may lie in folders within them.

    Returns:
        One row a file: `name` (of an image, or its last part), `id` (of a region; "" for a whole
        image), `class_name`, `class_id` ("" where the list does not say it) and `from`.

    Raises:
        InputError: No image lies in a folder of the folder.
    """
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    if (folder / LIST).is_file():
        table = read_table(folder / LIST, "list of classes")
        if {"folder", "name"} <= {*table}:
            names = dict(zip(table["folder"], table["name"], strict=True))
        if {"folder", "id"} <= {*table}:
            ids = dict(zip(table["folder"], table["id"], strict=True))
    rows = []
    for found in files_by_name(folder, IMAGE_SUFFIXES, "image"):
        owner, _, rest = found.partition("/")
        if rest:
            crop = _CROP.fullmatch(rest)
            name = unquote(crop["name"]) if crop else rest
            region = unquote(crop["id"]) if crop else ""
            class_name, class_id = names.get(owner, owner), ids.get(owner, "")
            rows.append((name, region, class_name, class_id, f"'{found}'"))
    if not rows:
        raise InputError(
            f"no folder in '{folder}' holds an image; give a folder that holds one for each class"
        )
    return pd.DataFrame(rows, columns=["name", "id", "class_name", "class_id", "from"])


def _folder_names(classes: pd.DataFrame) -> dict[int, str]:
    """A name for the folder of each class that any system allows, none twice in any case."""
    names: dict[int, str] = {}
    for number, name in zip(classes["id"], classes["name"], strict=True):
        safe = _safe(str(name)) or "_"
        taken = {other.casefold() for other in names.values()}
        names[int(number)] = f"{safe} (class {number})" if safe.casefold() in taken else safe
    return names


def _safe(name: str) -> str:
    return _UNSAFE.sub(lambda found: quote(found[0], safe="").replace(".", "%2E"), name)


def _write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    _, code = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    with write_atomically(path) as temporary:
        temporary.write_bytes(code.tobytes())
