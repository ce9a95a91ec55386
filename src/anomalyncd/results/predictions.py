"""The tables of a discovery or a prediction: images, regions and classes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

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
from anomalyncd.io.columns import find_column
from anomalyncd.labels.state import NORMAL
from anomalyncd.regions.table import CodedMasks, Regions
from anomalyncd.results.aggregation import (
    class_areas,
    merge_regardless_of_area,
    merge_regions,
    merging_temperature,
)
from anomalyncd.results.class_list import ClassList

Rule: TypeAlias = Literal["area", "mean", "score"]
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
    """(R, K): class probabilities of each region in the discovery, before any correction."""
    masks: CodedMasks
    """What was taken for anomalous on each image, at the size of its map."""
    counts: NDArray[np.int64]
    """(N, n_thresholds): MEBin's region counts of each image; (N, 0) where masks were given."""
    warnings: tuple[str, ...] = ()
    """What may be wrong with the inputs or the classes, with the remedy."""
    skipped: tuple[str, ...] = ()
    """Names of the images that could not be read and were left out."""
    attention: NDArray[np.float16] | None = None
    """(R, 2, rows, columns): where the CLS token looks, see `Run.attention`; only of new images."""

    @property
    def n_discovered(self) -> int:
        """How many of the regions were there to the discovery."""
        return len(self.regions)

    def decisions(self) -> NDArray[np.int64]:
        """Class of each image, (N,), or UNSEEN (-1) or UNSURE (-2) in place of one."""
        return _decisions(self.images)

    def of_new_images(self) -> "Predictions":
        """Returns the tables of new images: `decision` is added, and classes are counted by it.

        What is unseen has no confidence, since that of a class would be misleading.
        """
        undecided = pd.DataFrame(
            {"class": [UNSEEN, UNSURE], "class_name": _UNDECIDED, "normal": False}
        )
        listed = pd.concat([self.classes[list(undecided.columns)], undecided], ignore_index=True)
        names = dict(zip(listed["class"], listed["class_name"], strict=True))
        return replace(
            self,
            images=_with_decision(self.images, names),
            regions=_with_decision(self.regions, names),
            classes=_counted(
                listed, _decisions(self.images), _decisions(self.regions), self.regions
            ),
        )


@dataclass(frozen=True, eq=False)
class RegionClasses:
    """Descriptors and classes of R regions, before they are aggregated."""

    features: NDArray[np.float32]
    """(R, D): unit descriptors."""
    probabilities: NDArray[np.float32]
    """(R, C): class probabilities, by id of the class."""
    reliability: Reliability | None = None
    """How far they can be relied on; None leaves the columns out that state it."""
    class_list: ClassList | None = None
    """The classes; None for those of a discovery."""


def aggregate(
    inputs: Inputs, regions: Regions, classes: RegionClasses, rule: Rule = "area"
) -> Predictions:
    """Aggregates the classes of regions into those of images, and makes the tables.

    Args:
        inputs: The images.
        regions: Their regions.
        classes: Classes of the regions.
        rule: How regions become images, see `merge_regions` and `merge_regardless_of_area`.
    """
    images, n_images = inputs.images, len(inputs.images)
    by_region = _paths(images, regions.image)
    by_region[["left", "top", "right", "bottom"]] = regions.box
    by_region["area"] = regions.area
    by_region["score"] = regions.score
    by_region["found"] = regions.found
    rows = np.arange(n_images)
    by_image = _paths(images, rows)
    by_image[["height", "width"]] = inputs.sizes
    by_image["score"] = by_region.groupby(regions.image)["score"].max().to_numpy()
    by_image["n_regions"] = np.bincount(regions.image, regions.found, n_images).astype(int)
    by_image, by_region, by_class = classify_tables(
        _with_manifest(by_image, images, rows),
        _with_manifest(by_region, images, regions.image),
        classes,
        rule,
    )
    return Predictions(
        by_image,
        by_region,
        by_class,
        classes.features,
        classes.probabilities,
        regions.masks_found,
        regions.counts,
        inputs.warnings,
        inputs.skipped,
    )


def classify_tables(
    images: pd.DataFrame, regions: pd.DataFrame, classes: RegionClasses, rule: Rule = "area"
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Aggregates the classes of regions and writes them into the tables of images and regions.

    Args:
        images: The table of images; columns that state classes are replaced, or added.
        regions: The table of regions, in the same way.
        classes: Classes of the regions.
        rule: As for `aggregate`.

    Returns:
        The tables of images, regions and classes.
    """
    probabilities, reliability = classes.probabilities, classes.reliability
    class_list = classes.class_list or ClassList.discovered(probabilities.shape[1])
    image_of_region = pd.Index(images["name"]).get_indexer(regions["name"]).astype(np.int64)
    ignored = class_list.ignored[probabilities.argmax(1)]
    merge = _merging(images, regions, image_of_region, ignored, rule)
    merged = merge(_without_ignored(probabilities, class_list))
    assigned = probabilities.argmax(1)
    of_regions = _class_columns(assigned, probabilities, class_list)
    of_images = _class_columns(merged.argmax(1), merged, class_list)
    if reliability is not None:
        _add_reliability(of_regions, reliability)
        _add_reliability(of_images, _of_images(reliability, probabilities, merge))
    found_area = np.where(regions["found"], regions["area"], 0)
    pixels = class_areas(assigned, found_area, image_of_region, len(images), class_list.n_ids)
    areas = pd.DataFrame({f"area_{one}": pixels[:, one] for one in class_list.ids})
    by_image, by_region = _joined(images, of_images, areas), _joined(regions, of_regions)
    listed = pd.DataFrame({"class": class_list.ids, "class_name": class_list.names})
    listed["normal"] = class_list.normal[list(class_list.ids)]
    return by_image, by_region, _counted(listed, by_image["class"], assigned, by_region)


def _merging(
    images: pd.DataFrame,
    regions: pd.DataFrame,
    image_of_region: NDArray[np.int64],
    ignored: NDArray[np.bool_],
    rule: Rule,
) -> Callable[[NDArray[np.floating]], NDArray[np.float64]]:
    """Merges the values of regions into those of images; ignored regions only count alone."""
    n_images = len(images)
    others = np.bincount(image_of_region, ~ignored, n_images) > 0
    counted = ~ignored | ~others[image_of_region]
    image, chosen = image_of_region[counted], regions[counted]
    area, score = chosen["area"].to_numpy(), chosen["score"].to_numpy(np.float32)
    temperature = merging_temperature(images["height"].to_numpy(), images["width"].to_numpy())

    def merge(values: NDArray[np.floating]) -> NDArray[np.float64]:
        if rule == "area":
            return merge_regions(values[counted], area, image, n_images, temperature)
        return merge_regardless_of_area(values[counted], score, image, n_images, rule)

    return merge


def _without_ignored(
    probabilities: NDArray[np.float32], class_list: ClassList
) -> NDArray[np.float32]:
    """The probabilities with those of ignored classes given to the normal class."""
    ignored = class_list.ignored
    if not ignored.any():
        return probabilities
    counted = np.where(ignored, 0, probabilities)
    counted[:, NORMAL] += probabilities[:, ignored].sum(1)
    return counted


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


def _paths(images: ImageSet, rows: NDArray[np.int64]) -> pd.DataFrame:
    names = [images.names[row] for row in rows]
    return pd.DataFrame({"name": names, "path": [images.paths[row] for row in rows]})


def _class_columns(
    assigned: NDArray[np.int64], probabilities: NDArray[np.floating], class_list: ClassList
) -> pd.DataFrame:
    names = class_list.by_id
    columns = {
        "class": assigned,
        "class_name": [names[one] for one in assigned.tolist()],
        "normal": class_list.normal[assigned],
    }
    chances = {f"p_{one}": probabilities[:, one] for one in class_list.ids}
    return pd.DataFrame(columns | chances)


def _joined(
    table: pd.DataFrame, classes: pd.DataFrame, areas: pd.DataFrame | None = None
) -> pd.DataFrame:
    """A table with other columns that state classes, in the order in which tables have them."""
    bare = table.drop(columns=[name for name in table.columns if _states_class(name)])
    bare = bare.reset_index(drop=True)
    declared = [name for name in bare.columns if find_column(name) is not None][2:]
    further = [name for name in bare.columns[2:] if name not in declared]
    pieces = [bare[["name", "path"]], classes, bare[declared], areas, bare[further]]
    return pd.concat([piece for piece in pieces if piece is not None], axis=1)


def _states_class(name: str) -> bool:
    column = find_column(name)
    return column is not None and column.states_class


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


def _counted(
    listed: pd.DataFrame, of_images: ArrayLike, of_regions: ArrayLike, regions: pd.DataFrame
) -> pd.DataFrame:
    """Adds the numbers of images and regions of each class to the list of classes."""
    numbers = listed["class"].to_numpy()
    # Scores that were read from a table have the digits of single precision, too.
    measures = regions[["area"]].assign(score=regions["score"].astype(np.float32))
    grouped = measures.groupby(np.asarray(of_regions))
    return listed.assign(
        n_images=_count(of_images, numbers),
        n_regions=_count(of_regions, numbers),
        mean_area=grouped["area"].mean().reindex(numbers).to_numpy(),
        mean_score=grouped["score"].mean().reindex(numbers).to_numpy(),
    )


def _count(assigned: ArrayLike, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([np.count_nonzero(np.asarray(assigned) == number) for number in numbers])
