"""Labels written in the formats of the tools that people use."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from anomalyncd.errors import InputError
from anomalyncd.exchange.class_folders import write_class_folders
from anomalyncd.exchange.coco import write_coco
from anomalyncd.exchange.fiftyone import write_fiftyone
from anomalyncd.exchange.label_studio import write_label_studio
from anomalyncd.exchange.labelled import (
    CLASS_COLUMNS,
    IMAGE_COLUMNS,
    REGION_COLUMNS,
    LabelledRegions,
)
from anomalyncd.exchange.xml_formats import write_cvat, write_voc
from anomalyncd.exchange.yolo import write_yolo
from anomalyncd.io.files import refuse_unwritable_names
from anomalyncd.io.tables import write_table
from anomalyncd.io.writing import replace_folder

LabelFormat: TypeAlias = Literal[
    "csv", "coco", "yolo", "folders", "label-studio", "cvat", "voc", "fiftyone"
]
LABEL_FORMATS: tuple[str, ...] = get_args(LabelFormat)
"""The names of all formats."""
TABLE = "labels.csv"


def write_labels(
    labelled: LabelledRegions, format: str, target: str | Path, normal: bool = False
) -> None:
    """Writes the classes of regions as other programs read them, completely or not at all.

    Args:
        labelled: What to write. Regions of ignored classes are left out; images without a region
            are listed nonetheless.
        format: One of `LABEL_FORMATS`.
        target: The folder to write; it must not exist yet or be empty.
        normal: Whether regions of the normal class, and of classes that are not a defect, are
            written as well. "csv" always holds every region.

    Raises:
        InputError: The format is not known, the target holds something or cannot be written, or
            the file of an image is missing where its pixels are needed ("yolo", "folders").

    Source: our own.
    """
    if format not in _WRITERS:
        raise InputError(f"format '{format}' is not known; choose one of {', '.join(_WRITERS)}")
    folder = Path(target).expanduser()
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"'{folder}' is not empty; name a new or empty folder for the labels")
    refuse_unwritable_names(map(str, labelled.images["name"]))
    with replace_folder(folder) as new:
        _WRITERS[format](labelled, new, normal)


def _write_tables(labelled: LabelledRegions, folder: Path, _: bool) -> None:
    write_table(labelled.regions[list(REGION_COLUMNS)], folder / TABLE)
    write_table(labelled.classes[list(CLASS_COLUMNS)], folder / "classes.csv")
    write_table(labelled.images[list(IMAGE_COLUMNS)], folder / "images.csv")


_WRITERS: dict[str, Callable[[LabelledRegions, Path, bool], None]] = {
    "csv": _write_tables,
    "coco": write_coco,
    "yolo": write_yolo,
    "folders": write_class_folders,
    "label-studio": write_label_studio,
    "cvat": write_cvat,
    "voc": write_voc,
    "fiftyone": write_fiftyone,
}
