"""The tables of a discovery or a prediction: images, regions and classes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from anomalyncd.discovery.reliability import (
    UNSEEN,
    UNSURE,
    Reliability,
)
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.manifest import MAP
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.labels.state import class_names
from anomalyncd.regions.table import CodedMasks, Regions
from anomalyncd.results.aggregation import (
    class_areas,
    merge_regardless_of_area,
    merge_regions,
    merging_temperature,
)

_UNDECIDED = ("unseen", "unsure")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The classes of images and of their regions; class 0 is the normal one."""

    images: pd.DataFrame
    """One row an image: `name`, `path`, `class` (index of the most likely one), `class_name`,
    `normal`, `confidence` (0..1, calibrated), `novelty` (share of the known regions that are less
    of an outlier, 0..1), `unseen` (looks like nothing known), `unsure` (between known classes),
    `score`, `n_regions`, `height`, `width` (px), for each class k `p_k` (probability, as it was
    before calibration) and `area_k` (mask pixels), and what a manifest says of the image."""
    regions: pd.DataFrame
    """One row a region: `name`, `path`, box (`left`, `top`, `right`, `bottom` in image pixels),
    `area` (mask pixels), `score` (0..1), `found` (False: the most conspicuous place, or the
    whole image, stands in for an image without a region), `class`, `class_name`, `normal`,
    `confidence`, `novelty`, `unseen`, `unsure`, `p_k` for each class k, and what a manifest says
    of the image."""
    classes: pd.DataFrame
    """One row a class: `class`, `class_name`, `normal`, `n_images`, `n_regions`, `mean_area`,
    `mean_score`. Of new images, those that are unseen or unsure have rows of their own, with the
    classes -1 and -2, and are no members of the others."""
    features: NDArray[np.float32]
    """(R, D): unit descriptor of each region."""
    probabilities: NDArray[np.float32]
    """(R, K): class probabilities of each region."""
    masks: CodedMasks
    """What was taken for anomalous on each image, at the size of its map."""
    counts: NDArray[np.int64]
    """(N, n_thresholds): MEBin's region counts of each image; (N, 0) where masks were given."""
    warnings: tuple[str, ...] = ()
    """What may be wrong with the inputs or the classes, with the remedy."""
    skipped: tuple[str, ...] = ()
    """Names of the images that could not be read and were left out."""

    def decisions(self) -> NDArray[np.int64]:
        """Class of each image, (N,), or UNSEEN (-1) or UNSURE (-2) in place of one."""
        return _decisions(self.images)

    def of_new_images(self) -> "Predictions":
        """Returns the tables of new images: `decision` is added, and classes are counted by it.

        What is unseen has no confidence, since that of a class would be misleading.
        """
        numbers = [*self.classes["class"], UNSEEN, UNSURE]
        names = dict(zip(numbers, [*self.classes["class_name"], *_UNDECIDED], strict=True))
        return replace(
            self,
            images=_with_decision(self.images, names),
            regions=_with_decision(self.regions, names),
            classes=_class_table(
                _decisions(self.images), _decisions(self.regions), self.regions, names
            ),
        )


@dataclass(frozen=True, eq=False)
class RegionClasses:
    """Descriptors and classes of R regions, before they are aggregated."""

    features: NDArray[np.float32]
    """(R, D): unit descriptors."""
    probabilities: NDArray[np.float32]
    """(R, K): class probabilities."""
    reliability: Reliability | None = None
    """How far they can be relied on; None leaves the columns out that state it."""


def aggregate(
    inputs: Inputs,
    regions: Regions,
    classes: RegionClasses,
    rule: Literal["area", "mean", "score"] = "area",
) -> Predictions:
    """Aggregates the classes of regions into those of images, and makes the tables.

    Args:
        inputs: The images, their sizes, and warnings about them.
        regions: Their regions and masks.
        classes: Descriptors and classes of the regions.
        rule: Weight of a region, see `AggregationConfig`.
    """
    images, sizes, probabilities = inputs.images, inputs.sizes, classes.probabilities
    n_images, n_classes = len(images), probabilities.shape[1]
    names = np.array(class_names(n_classes))
    temperature = merging_temperature(sizes[:, 0], sizes[:, 1])

    def merge(values: NDArray[np.floating]) -> NDArray[np.float64]:
        if rule == "area":
            return merge_regions(values, regions.area, regions.image, n_images, temperature)
        return merge_regardless_of_area(values, regions.score, regions.image, n_images, rule)

    merged = merge(probabilities)
    assigned = probabilities.argmax(1)
    found_area = np.where(regions.found, regions.area, 0)
    areas = class_areas(assigned, found_area, regions.image, n_images, n_classes)
    by_region = _table(images, regions.image, assigned, probabilities, names)
    by_region[["left", "top", "right", "bottom"]] = regions.box
    by_region["area"] = regions.area
    by_region["score"] = regions.score
    by_region["found"] = regions.found
    rows = np.arange(n_images)
    by_image = _table(images, rows, merged.argmax(1), merged, names)
    if classes.reliability is not None:
        of_images = _of_images(classes.reliability, probabilities, merge)
        _add_reliability(by_region, classes.reliability)
        _add_reliability(by_image, of_images)
    by_image[["height", "width"]] = sizes
    by_image["score"] = by_region.groupby(regions.image)["score"].max().to_numpy()
    by_image["n_regions"] = np.bincount(regions.image, regions.found, n_images).astype(int)
    by_image[[f"area_{index}" for index in range(n_classes)]] = areas
    return Predictions(
        _with_manifest(by_image, images, rows),
        _with_manifest(by_region, images, regions.image),
        _class_table(by_image["class"], assigned, by_region, dict(enumerate(names))),
        classes.features,
        probabilities,
        regions.masks_found,
        regions.counts,
        inputs.warnings,
        inputs.skipped,
    )


def _of_images(
    reliability: Reliability,
    probabilities: NDArray[np.float32],
    merge: Callable[[NDArray[np.floating]], NDArray[np.float64]],
) -> Reliability:
    """The reliability of the classes of images; an image is unseen if its unseen regions weigh
    more than those of any known class."""
    known = probabilities * ~reliability.unseen[:, None]
    merged = merge(np.column_stack([known, reliability.unseen]).astype(np.float32))
    return replace(
        reliability,
        calibrated=merge(reliability.calibrated).astype(np.float32),
        novelty=merge(reliability.novelty[:, None])[:, 0].astype(np.float32),
        unseen=merged.argmax(1) == probabilities.shape[1],
    )


def _table(
    images: ImageSet,
    rows: NDArray[np.int64],
    assigned: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    names: NDArray[np.str_],
) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "name": [images.names[row] for row in rows],
            "path": [images.paths[row] for row in rows],
            "class": assigned,
            "class_name": names[assigned],
            "normal": assigned == 0,
        }
    )
    columns = [f"p_{index}" for index in range(len(names))]
    return table.join(pd.DataFrame(probabilities, columns=columns))


def _add_reliability(table: pd.DataFrame, reliability: Reliability) -> None:
    """Inserts `confidence`, `novelty`, `unseen` and `unsure` after the columns of the class."""
    rows = np.arange(len(table))
    confidence = reliability.calibrated[rows, table["class"].to_numpy()]
    columns = {
        "confidence": confidence,
        "novelty": reliability.novelty,
        "unseen": reliability.unseen,
        "unsure": ~reliability.unseen & (confidence < reliability.least_confidence),
    }
    after = list(table.columns).index("normal") + 1
    for place, (name, values) in enumerate(columns.items(), after):
        table.insert(place, name, values)


def _with_manifest(table: pd.DataFrame, images: ImageSet, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Appends the further columns of the manifest."""
    if images.columns is None:
        return table
    further = images.columns.drop(columns=MAP, errors="ignore")
    return table.join(further.iloc[rows].reset_index(drop=True))


def _decisions(table: pd.DataFrame) -> NDArray[np.int64]:
    decided = np.where(table["unsure"], UNSURE, table["class"])
    return np.where(table["unseen"], UNSEEN, decided).astype(np.int64)


def _with_decision(table: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    decided = table.assign(confidence=table["confidence"].mask(table["unseen"]))
    place = list(table.columns).index("normal") + 1
    decided.insert(place, "decision", [names[number] for number in _decisions(table)])
    return decided


def _class_table(
    of_images: ArrayLike, of_regions: ArrayLike, regions: pd.DataFrame, names: dict[int, str]
) -> pd.DataFrame:
    """Counts the images and regions of each class; `names` has the name of each of them."""
    numbers = np.array(list(names))
    grouped = regions.groupby(np.asarray(of_regions))
    return pd.DataFrame(
        {
            "class": numbers,
            "class_name": list(names.values()),
            "normal": numbers == 0,
            "n_images": _count(of_images, numbers),
            "n_regions": _count(of_regions, numbers),
            "mean_area": grouped["area"].mean().reindex(numbers).to_numpy(),
            "mean_score": grouped["score"].mean().reindex(numbers).to_numpy(),
        }
    )


def _count(assigned: ArrayLike, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([np.count_nonzero(np.asarray(assigned) == number) for number in numbers])
