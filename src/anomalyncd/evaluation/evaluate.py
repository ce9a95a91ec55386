"""Scores of a run or a prediction against labels and true masks."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import (
    NORMAL_LABELS,
    labels_from_table,
    truth_of_run,
    with_labels_of,
)
from anomalyncd.evaluation.map_evaluation import MapEvaluation, evaluate_maps
from anomalyncd.evaluation.metrics import ClusterScores, cluster_scores, confusion
from anomalyncd.evaluation.region_evaluation import RegionEvaluation, evaluate_regions
from anomalyncd.images.manifest import LABEL
from anomalyncd.inputs.inputs import MasksLike
from anomalyncd.results.run_folder import read_run, read_table

LEFT_OUT = ("combined",)
"""Classes of MVTec AD that combine several kinds of defects; the papers leave them out."""
UNLABELLED = "no label"
"""Name of images without a label among the classes that are left out."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well the classes of images agree with their labels, and those of regions with masks."""

    scores: ClusterScores | None
    """Over the images that are not left out; None where images have no labels."""
    n_images: int
    """Number of images that are not left out."""
    left_out: dict[str, int]
    """Number of images of each true class that is left out."""
    confusion: pd.DataFrame
    """Number of images of each true class (rows) in each discovered class (columns), see
    `confusion`."""
    detection: MapEvaluation | None = None
    """Scores of the maps and of the regions, where masks or labels are known."""
    regions: RegionEvaluation | None = None
    """Scores of the classes of regions, where masks name the kinds of the defects."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers: where images have labels, `images` (nmi, ari, f1, n), `left_out`
        and `confusion`; where known also `maps` (see `MapScores`), `mebin` (see `MebinQuality`),
        and `regions`, `kinds` and `kinds_of_images` (see `RegionEvaluation.to_dict`).
        """
        known = (one.to_dict() for one in (self.detection, self.regions) if one is not None)
        further = {name: value for group in known for name, value in group.items()}
        if self.scores is None:
            return further
        counts = {
            str(true): {str(predicted): int(n) for predicted, n in row.items()}
            for true, row in self.confusion.iterrows()
        }
        images = asdict(self.scores) | {"n": self.n_images}
        return {"images": images, "left_out": self.left_out, "confusion": counts} | further


def evaluate_classes(
    labels: Sequence[str] | NDArray[Any],
    classes: Sequence[str] | pd.Series | NDArray[Any],
    ignore: Collection[str] = LEFT_OUT,
) -> Evaluation:
    """Scores the classes of images.

    Args:
        labels: True class of each image, (N,); "" where it is not known.
        classes: Discovered class of each image, (N,).
        ignore: True classes that are left out, as are images whose class is not known.

    Raises:
        InputError: Fewer than two classes are not left out.
    """
    true, predicted = np.array(labels), np.asarray(classes)
    ignored = np.isin(true, [*ignore, ""])
    names, counts = np.unique(true[ignored], return_counts=True)
    left_out = {name or UNLABELLED: int(n) for name, n in zip(names.tolist(), counts, strict=True)}
    true, predicted = true[~ignored], predicted[~ignored]
    if len(np.unique(true)) < 2:
        raise InputError(
            f"fewer than two classes remain without {', '.join(left_out)}; leave out fewer classes"
        )
    scores, counted = cluster_scores(true, predicted), confusion(true, predicted)
    return Evaluation(scores, len(true), left_out, counted)


def evaluate_images(images: pd.DataFrame, ignore: Collection[str] = LEFT_OUT) -> Evaluation:
    """Scores the table of images of a run or a prediction.

    Args:
        images: See `Predictions.images`.
        ignore: True classes that are left out.

    Raises:
        InputError: The images have no labels and are not in one folder for each class.
    """
    return evaluate_classes(labels_from_table(images), images["class_name"], ignore)


def evaluate_if_labelled(images: pd.DataFrame) -> Evaluation | None:
    """Scores the table of images of a run, where its labels are certainly labels.

    Args:
        images: See `Predictions.images`.

    Returns:
        None where there is neither a column `label` nor a folder with a usual name of the normal
        class: other folders may be lines, dates or lots.
    """
    try:
        labels = labels_from_table(images)
        certain = LABEL in images or any(label.lower() in NORMAL_LABELS for label in labels)
        return evaluate_classes(labels, images["class_name"]) if certain else None
    except InputError:
        return None


def evaluate_run(
    folder: str | Path, ignore: Collection[str] = LEFT_OUT, masks: MasksLike | None = None
) -> Evaluation:
    """Scores the images of a finished run or of a prediction; of a run also maps and regions.

    Args:
        folder: Contains `images.csv`.
        ignore: True classes that are left out; the scores of maps and regions include them.
        masks: True masks, a folder, a manifest or annotations, whose classes are the labels of
            images without any; by default those beside the images of the run, see `evaluate_maps`.

    Returns:
        The scores. Where the masks name the kinds of the defects, images need no labels.

    Raises:
        InputError: There is no such table, or see `evaluate_images` and `evaluate_maps`.
    """
    images = read_table(folder)
    if masks is not None:
        images = with_labels_of(masks, images)
    detection, regions = _of_run(Path(folder).expanduser(), masks)
    try:
        evaluation = evaluate_images(images, ignore)
    except InputError as error:
        if regions is not None:
            evaluation = Evaluation(None, 0, {}, pd.DataFrame())
        elif masks is None:
            raise
        else:
            raise InputError(
                f"{error}; or give masks whose values number the kinds of defects, from 1 to 15 or "
                "by a palette"
            ) from error
    return replace(evaluation, detection=detection, regions=regions)


def _of_run(
    folder: Path, masks: MasksLike | None
) -> tuple[MapEvaluation | None, RegionEvaluation | None]:
    """The scores of maps and regions; without given masks as far as they can be computed."""
    try:
        run = read_run(folder)  # The folder of a prediction is none, and has no maps.
        truth = truth_of_run(run, masks)
        regions = None if truth is None else evaluate_regions(run, truth)
        has_maps = run.counts.shape[1] > 0
        # Given masks that score nothing are an error.
        return evaluate_maps(run, masks) if has_maps or regions is None else None, regions
    except InputError:
        if masks is not None:
            raise
        return None, None
