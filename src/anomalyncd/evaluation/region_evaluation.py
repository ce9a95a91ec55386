"""Scores of the classes of regions against true masks that name the kinds of the defects."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.evaluation.ground_truth import Truth
from anomalyncd.evaluation.map_evaluation import inside_boxes, relative_boxes
from anomalyncd.evaluation.metrics import ClusterScores, Label, cluster_scores, match_classes
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.progress import track

SMALLEST_DEFECT = 4
"""Area below which a connected mark counts as a speck and not as a defect, px of the mask."""
NO_KIND = "no class"
"""Name of the kind of shapes without a class."""

Inside: TypeAlias = tuple[slice, slice]
"""The rows and columns of a box."""
Kinds: TypeAlias = Mapping[str, NDArray[np.bool_]]
"""Name of a kind of defects to its true mask on one image, (H, W); masks may overlap."""


@dataclass(frozen=True)
class Kind:
    """What was found of one true kind of defects."""

    defects: int
    """Number of its defects: 8-connected marks of at least `SMALLEST_DEFECT` pixels."""
    touched: int
    """Number of these with a pixel of a found region."""
    regions: int
    """Number of found regions of this kind: it covers most of their pixels."""
    class_name: str | None
    """The discovered class that is matched with it; None where no class is left for it."""


@dataclass(frozen=True)
class RegionEvaluation:
    """How well the classes of the found regions agree with the true kinds under them."""

    scores: ClusterScores | None
    """Over the regions that touch a true defect; None without any. The normal class counts like
    every other."""
    n_regions: int
    """Number of regions that touch a true defect."""
    n_false_alarms: int
    """Number of regions that touch none; they are left out of the scores."""
    kinds: dict[str, Kind]
    """For each true kind, in order, what was found of it."""
    image_f1: float | None
    """Micro F1 of all pairs of an image and a kind, 0..1: the true kinds of each image against the
    matched classes of its regions that are not normal; None without a pair."""
    n_images: int
    """Number of images whose defects are known."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers: `regions` (nmi, ari, f1, n, false_alarms), `kinds` (see `Kind`)
        and `kinds_of_images` (f1, n).
        """
        scores = dict.fromkeys(("nmi", "ari", "f1")) if self.scores is None else asdict(self.scores)
        return {
            "regions": scores | {"n": self.n_regions, "false_alarms": self.n_false_alarms},
            "kinds": {name: asdict(kind) for name, kind in self.kinds.items()},
            "kinds_of_images": {"f1": self.image_f1, "n": self.n_images},
        }


def evaluate_regions(run: Run, truth: Truth) -> RegionEvaluation | None:
    """Scores the classes of the found regions of a run.

    Args:
        run: A finished run.
        truth: The true masks of its images; they and the masks of the run are read one by one.

    Returns:
        None where the masks do not name at least two kinds.

    Raises:
        InputError: A mask cannot be read, or has another aspect ratio than its image.
    """
    found = run.regions.loc[run.regions["found"], ["name", "class_name", "normal"]]
    boxes, rows_of = relative_boxes(run), found.groupby("name").indices
    kind_of, known = np.full(len(found), None, object), np.zeros(len(found), np.bool_)
    defects, touched = Counter[str](), Counter[str]()
    of_images: dict[str, set[str]] = {}
    for index, name in enumerate(track(run.images["name"], "Matching regions")):
        marks = truth.kinds(index)
        if marks is None:
            return None
        if not truth.is_known(index, bool(marks)):
            continue
        kinds = {kind or NO_KIND: marks[kind] for kind in in_order(marks)}
        of_images[name] = set(kinds)
        predicted, insides = np.zeros((1, 1), np.bool_), list[Inside]()
        if name in boxes:
            known[rows_of[name]] = True
            if kinds:
                height, width = next(iter(kinds.values())).shape
                predicted = resize_mask(run.mask(name), (height, width))
                insides = inside_boxes(boxes[name], (height, width))
                kind_of[rows_of[name]] = [kind_of_region(predicted, one, kinds) for one in insides]
        for kind, mask in kinds.items():
            n_defects, n_touched = count_touched(mask, predicted, insides)
            defects[kind] += n_defects
            touched[kind] += n_touched
    if len(defects) < 2:
        return None
    counts = {kind: (defects[kind], touched[kind]) for kind in in_order(defects)}
    return _scored(found.assign(kind=kind_of)[known], of_images, counts)


def _scored(
    regions: pd.DataFrame, of_images: dict[str, set[str]], counts: dict[str, tuple[int, int]]
) -> RegionEvaluation:
    """The scores of regions with the column `kind`, None where they touch no defect."""
    matched = regions[regions["kind"].notna()]
    n_regions = matched["kind"].value_counts()
    scores, classes = None, dict[Label, Label]()
    if len(matched):
        scores = cluster_scores(matched["kind"], matched["class_name"])
        classes = match_classes(matched["kind"], matched["class_name"])
    class_of = {kind: str(name) for name, kind in classes.items()}
    kinds = {
        kind: Kind(*numbers, int(n_regions.get(kind, 0)), class_of.get(kind))
        for kind, numbers in counts.items()
    }
    f1 = image_f1(of_images, regions[~regions["normal"]], classes)
    n_false_alarms = len(regions) - len(matched)
    return RegionEvaluation(scores, len(matched), n_false_alarms, kinds, f1, len(of_images))


def in_order(kinds: Iterable[str]) -> list[str]:
    """Sorts kinds: numbers by their value, then names by the alphabet."""
    return sorted(kinds, key=lambda kind: (int(kind) if kind.isdecimal() else math.inf, kind))


def kind_of_region(found: NDArray[np.bool_], inside: Inside, kinds: Kinds) -> str | None:
    """Returns the true kind that covers most pixels of a region.

    Args:
        found: (H, W), what was taken for anomalous.
        inside: The box of the region, of which the pixels that were found count.
        kinds: True masks of the same size, in order.

    Returns:
        Of equally frequent kinds the first one; None where no kind covers a pixel.
    """
    region = found[inside]
    counts = {kind: np.count_nonzero(region & true[inside]) for kind, true in kinds.items()}
    best = max(counts, key=lambda kind: counts[kind], default=None)
    return best if best is not None and counts[best] else None


def count_touched(
    true: NDArray[np.bool_], found: NDArray[np.bool_], insides: Sequence[Inside]
) -> tuple[int, int]:
    """Counts the defects of one kind on one image, and those that a region touches.

    Args:
        true: (H, W), the true mask of the kind.
        found: (H, W), what was taken for anomalous; any size without a region.
        insides: The box of each region.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(true.astype(np.uint8), connectivity=8)
    is_defect = np.asarray(stats[:, cv2.CC_STAT_AREA] >= SMALLEST_DEFECT)
    is_defect[0] = False  # The ground.
    is_touched = np.zeros_like(is_defect)
    for inside in insides:
        is_touched[labels[inside][found[inside]]] = True
    return int(is_defect.sum()), int((is_defect & is_touched).sum())


def image_f1(
    true: Mapping[str, set[str]], regions: pd.DataFrame, classes: Mapping[Label, Label]
) -> float | None:
    """Micro F1 of all pairs of an image and a kind.

    Args:
        true: Name of each image to its true kinds.
        regions: Columns `name` and `class_name` of the regions that are not normal.
        classes: Discovered class to the kind that it is matched with. A class without a match
            counts as a kind that no image has.

    Returns:
        0..1; None where there is no pair, neither true nor discovered.
    """
    pairs = set(zip(regions["name"], regions["class_name"], strict=True))
    n_true = sum(len(kinds) for kinds in true.values())
    if not n_true + len(pairs):
        return None
    n_shared = sum(classes.get(class_name) in true[name] for name, class_name in pairs)
    return 2 * n_shared / (n_true + len(pairs))
