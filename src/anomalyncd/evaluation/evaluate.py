"""Scores of a run against the folders that its images lie in, and against true masks."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS, labels_from_table
from anomalyncd.evaluation.map_evaluation import MapEvaluation, evaluate_maps
from anomalyncd.evaluation.metrics import (
    ClusterScores,
    cluster_scores,
    confusion,
)
from anomalyncd.inputs.inputs import MasksLike
from anomalyncd.inputs.manifest import LABEL
from anomalyncd.results.run_folder import read_run, read_table

LEFT_OUT = ("combined",)
"""Classes of MVTec AD that mix several kinds of defects; the papers leave them out."""
UNLABELLED = "no label"
"""What images without a label are called among those left out."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well the classes of images agree with their folders."""

    scores: ClusterScores
    """Over the images that count."""
    n_images: int
    """How many images count."""
    left_out: dict[str, int]
    """True class to number of images, of the classes that were left out."""
    confusion: pd.DataFrame
    """ImageSet of each true class (rows) in each discovered one (columns), matched ones first."""
    detection: MapEvaluation | None = None
    """Scores of the maps and of the regions, where the truth about them is known."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers: `images` (nmi, ari, f1, n), `left_out`, `confusion`; where known `maps`
        (see `MapScores`) and `mebin` (see `MebinQuality`).
        """
        counts = {
            str(true): {str(found): int(n) for found, n in row.items()}
            for true, row in self.confusion.iterrows()
        }
        images = asdict(self.scores) | {"n": self.n_images}
        detection = {} if self.detection is None else self.detection.to_dict()
        return {"images": images, "left_out": self.left_out, "confusion": counts} | detection


def evaluate_classes(
    labels: Sequence[str] | NDArray[Any],
    classes: Sequence[str] | pd.Series | NDArray[Any],
    ignore: Collection[str] = LEFT_OUT,
) -> Evaluation:
    """Scores the classes of images.

    Args:
        labels: True class of each image, (N,); "" where it is not known.
        classes: Discovered class of each image, (N,).
        ignore: True classes that do not count, as those not known do not.

    Raises:
        InputError: Fewer than two classes count.
    """
    true, found = np.array(labels), np.asarray(classes)
    dropped = np.isin(true, [*ignore, ""])
    left, counts = np.unique(true[dropped], return_counts=True)
    left_out = {name or UNLABELLED: int(n) for name, n in zip(left.tolist(), counts, strict=True)}
    true, found = true[~dropped], found[~dropped]
    if len(np.unique(true)) < 2:
        raise InputError(
            f"fewer than two classes count once {', '.join(left_out)} is left out; "
            "leave fewer classes out"
        )
    return Evaluation(cluster_scores(true, found), len(true), left_out, confusion(true, found))


def evaluate_images(images: pd.DataFrame, ignore: Collection[str] = LEFT_OUT) -> Evaluation:
    """Scores the table of parts of a run or a prediction.

    Args:
        images: See `Predictions.images`.
        ignore: True classes that do not count.

    Raises:
        InputError: The images neither have labels nor lie in a folder a class.
    """
    return evaluate_classes(labels_from_table(images), images["class_name"], ignore)


def evaluate_if_labelled(images: pd.DataFrame) -> Evaluation | None:
    """Scores the table of parts of a run, where it is sure that something tells the true classes.

    Args:
        images: See `Predictions.images`.

    Returns:
        None where there is neither a column `label` nor a folder called like good images: other
        folders may be lines, dates or lots.
    """
    try:
        labels = labels_from_table(images)
        told = LABEL in images or any(label.lower() in NORMAL_LABELS for label in labels)
        return evaluate_classes(labels, images["class_name"]) if told else None
    except InputError:
        return None


def evaluate_run(
    folder: str | Path, ignore: Collection[str] = LEFT_OUT, masks: MasksLike | None = None
) -> Evaluation:
    """Scores the images of a finished run or of a prediction; of a run also maps and regions.

    Args:
        folder: Holds `images.csv`.
        ignore: True classes that do not count. Among maps and regions all of them count.
        masks: True masks, a folder or a manifest; by default those that lie beside the images of the
            run, see `evaluate_maps`.

    Raises:
        InputError: No such table, or see `evaluate_images` and `evaluate_maps`.
    """
    evaluation = evaluate_images(read_table(folder), ignore)
    return replace(evaluation, detection=_detection(Path(folder).expanduser(), masks))


def _detection(folder: Path, masks: MasksLike | None) -> MapEvaluation | None:
    if masks is not None:
        return evaluate_maps(read_run(folder), masks)
    try:
        return evaluate_maps(read_run(folder))
    except InputError:  # A prediction, for instance.
        return None
