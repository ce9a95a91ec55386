"""Regions with the classes that they have by now: what all formats of labels are written from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.labels.book import ids_to_be
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.run_folder import Run

IMAGE_COLUMNS = ("name", "path", "height", "width")
REGION_COLUMNS = (
    *("id", "name", "left", "top", "right", "bottom"),
    *("class_id", "class_name", "score", "confidence", "confirmed"),
)
CLASS_COLUMNS = ("id", "name", "description", "colour", "kind", "severity")
DEFECT, NOT_A_DEFECT, IGNORED = "defect", "not a defect", "ignored"
"""The kinds of classes."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000")
"""Distinct with any kind of colour vision. Source: Okabe and Ito, 2008."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One region on its image, as detection formats hold it."""

    region: str
    """Id of the region."""
    class_id: int
    """Id of its class."""
    class_name: str
    """Name of its class."""
    confidence: float
    """Probability of the class, from 0 to 1; 1 if a person named it and none is known."""
    score: float
    """Anomaly score."""
    confirmed: bool
    """Whether a person said that the class is right."""
    crop: tuple[int, int, int, int]
    """Left, top, right, bottom of the region's box within the image, px."""
    marks: NDArray[np.bool_]
    """(bottom - top, right - left): the anomalous pixels in that box; there may be none."""

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the anomalous pixels, px; the crop where there are none."""
        rows, columns = np.flatnonzero(self.marks.any(axis=1)), np.flatnonzero(self.marks.any(0))
        if not len(rows):
            return self.crop
        left, top = self.crop[:2]
        return (
            *(left + int(columns[0]), top + int(rows[0])),
            *(left + int(columns[-1]) + 1, top + int(rows[-1]) + 1),
        )

    @property
    def box_marks(self) -> NDArray[np.bool_]:
        """The anomalous pixels in `box`; all pixels of it where there are none."""
        left, top, right, bottom = np.array(self.box) - np.array(self.crop[:2] * 2)
        return self.marks[top:bottom, left:right] if self.marks.any() else ~self.marks

    def outlines(self) -> list[NDArray[np.float64]]:
        """Polygons, each (n, 2), x and y in px, around every connected part; holes are filled.

        The pixels whose middle lies inside a polygon are exactly those of the part.
        """
        # At twice the size, the middles of the outermost pixels lie between the middle and the
        # edge of those of the image.
        double = np.kron(self.box_marks.astype(np.uint8), np.ones((2, 2), np.uint8))
        found, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return [(ring[:, 0] + 0.5) / 2 + self.box[:2] for ring in found]


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image with its instances."""

    name: str
    """Its name: a relative path without the suffix."""
    path: str
    """Its file; the name where it has none."""
    height: int
    """Height, px."""
    width: int
    """Width, px."""
    instances: tuple[Instance, ...]
    """What is written of it; may be empty."""

    @property
    def file_name(self) -> str:
        """The name with the suffix of the file."""
        return self.name + (Path(self.path).suffix if self.path != self.name else ".png")

    def file(self) -> Path:
        """The file of the image.

        Raises:
            InputError: There is none.
        """
        path = Path(self.path)
        if not path.is_file():
            raise InputError(
                f"the file of image '{self.name}' is not at '{path}'; give `images`, the "
                "folder where they are now"
            )
        return path


@dataclass(frozen=True, eq=False)
class LabelledRegions:
    """Images, their regions, and the classes that the regions have.

    Raises:
        InputError: A table lacks a column.
    """

    images: pd.DataFrame
    """One row an image: `name`, `path`, `height`, `width` (px)."""
    regions: pd.DataFrame
    """One row a region: `id`, `name` (of the image), `left`, `top`, `right`, `bottom` (px, may
    leave the image), `class_id`, `class_name`, `score`, `confidence`, `confirmed` (whether a person
    said so)."""
    classes: pd.DataFrame
    """One row a class: `id`, `name`, `description`, `colour` ("#rrggbb"), `kind` ("defect",
    "not a defect" or "ignored"), `severity`; id 0 is the normal class."""
    masks: Callable[[str], NDArray[np.bool_]]
    """From the name of an image to its mask (h, w) at the size of its map; a region is what of it
    lies in the region's box."""

    def __post_init__(self) -> None:
        tables = {
            "images": (self.images, IMAGE_COLUMNS),
            "regions": (self.regions, REGION_COLUMNS),
            "classes": (self.classes, CLASS_COLUMNS),
        }
        for what, (table, columns) in tables.items():
            missing = [column for column in columns if column not in table]
            if missing:
                raise InputError(f"the table of {what} lacks the column '{missing[0]}'; add it")

    def chosen_classes(self, normal: bool) -> pd.DataFrame:
        """The classes that are written, by ascending id.

        Args:
            normal: Whether the normal class and classes that are not a defect are among them;
                ignored ones never are.
        """
        kind, is_normal = self.classes["kind"], self.classes["id"] == 0
        chosen = (kind != IGNORED) if normal else (kind == DEFECT) & ~is_normal
        return self.classes[chosen].sort_values("id")

    def each_image(self, normal: bool) -> Iterator[LabelledImage]:
        """Yields all images in order, each with the regions of the classes that are written.

        Args:
            normal: See `chosen_classes`.
        """
        chosen = self.chosen_classes(normal)
        names = dict(zip(chosen["id"], chosen["name"], strict=True))
        regions = self.regions[self.regions["class_id"].isin(chosen["id"])]
        of_image = {str(name): table for name, table in regions.groupby("name", sort=False)}
        for image in self.images.to_dict("records"):
            name, size = str(image["name"]), (int(image["height"]), int(image["width"]))
            rows = of_image.get(name)
            instances: list[Instance] = []
            if rows is not None:
                mask = resize_mask(self.masks(name), size)
                instances = [_instance(row, names, mask) for row in rows.to_dict("records")]
            yield LabelledImage(name, str(image["path"]), *size, tuple(instances))


def label_run(run: Run, ids: NDArray[np.int64] | None = None) -> LabelledRegions:
    """The regions of a run with the classes that the run found; nobody has confirmed them.

    Args:
        run: A finished run.
        ids: Ids of the regions; None takes those that a new label book of the run gives them.
    """
    regions = run.regions.rename(columns={"class": "class_id"}).assign(
        id=ids_to_be(run.regions) if ids is None else ids, confirmed=False
    )
    if "confidence" not in regions:
        regions["confidence"] = np.nan
    numbers = run.classes["class"]
    classes = pd.DataFrame(
        {
            "id": numbers,
            "name": run.classes["class_name"],
            "description": "",
            "colour": [_COLOURS[(number - 1) % len(_COLOURS)] for number in numbers],
            "kind": np.where(run.classes["normal"], NOT_A_DEFECT, DEFECT),
            "severity": "",
        }
    )
    return LabelledRegions(
        run.images[list(IMAGE_COLUMNS)], regions[list(REGION_COLUMNS)], classes, run.mask
    )


def marked_boxes(labelled: LabelledRegions) -> NDArray[np.float64]:
    """The boxes that detection formats hold, (R, 4), px, in the order of `labelled.regions`.

    Left, top, right and bottom of the anomalous pixels of each region, of whatever class.
    """
    everything = labelled.classes.assign(kind=DEFECT)
    boxes: dict[str, tuple[int, int, int, int]] = {}
    for image in LabelledRegions(
        labelled.images, labelled.regions, everything, labelled.masks
    ).each_image(normal=True):
        boxes |= {one.region: one.box for one in image.instances}
    rows = labelled.regions[["id", "left", "top", "right", "bottom"]].itertuples(index=False)
    return np.array([boxes.get(str(row[0]), row[1:]) for row in rows], np.float64).reshape(-1, 4)


def _instance(row: dict[Any, Any], names: dict[int, str], mask: NDArray[np.bool_]) -> Instance:
    height, width = mask.shape
    # At least one pixel of each region remains, even of one beyond the image.
    left, top = (
        min(max(round(row[side]), 0), end - 1) for side, end in (("left", width), ("top", height))
    )
    right, bottom = (
        min(max(round(row[side]), first + 1), end)
        for side, first, end in (("right", left, width), ("bottom", top, height))
    )
    number, confidence = int(row["class_id"]), float(row["confidence"])
    return Instance(
        region=str(row["id"]),
        class_id=number,
        class_name=str(names[number]),
        confidence=1.0 if np.isnan(confidence) and row["confirmed"] else confidence,
        score=float(row["score"]),
        confirmed=bool(row["confirmed"]),
        crop=(left, top, right, bottom),
        marks=mask[top:bottom, left:right],
    )
