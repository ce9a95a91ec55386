"""Scores of a run against the labels of its parts, or the folders they lie in."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.labels import labels_from_names, labels_from_table
from anomalyncd.evaluation.scores import ClusterScores, cluster_scores, confusion
from anomalyncd.runs import read_images

LEFT_OUT = ("combined",)
"""Classes of MVTec AD that mix several kinds of defects; the papers leave them out."""

_UNLABELLED = "no label"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well the classes of parts agree with their labels."""

    scores: ClusterScores
    """Over the parts that count."""
    n_images: int
    """How many parts count."""
    left_out: dict[str, int]
    """True class to number of parts, of the classes that were left out."""
    confusion: pd.DataFrame
    """Parts of each true class (rows) in each discovered one (columns), matched ones first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers: `images` (nmi, ari, f1, n), `left_out` and `confusion`."""
        counts = {
            str(true): {str(found): int(n) for found, n in row.items()}
            for true, row in self.confusion.iterrows()
        }
        images = asdict(self.scores) | {"n": self.n_images}
        return {"images": images, "left_out": self.left_out, "confusion": counts}


def evaluate_classes(
    names: Sequence[str] | pd.Series,
    classes: Sequence[str] | pd.Series | NDArray[Any],
    ignore: Collection[str] = LEFT_OUT,
) -> Evaluation:
    """Scores the classes of parts.

    Args:
        names: Relative paths of the parts, (N,), in a folder named after the true class each.
        classes: Discovered class of each part, (N,).
        ignore: True classes that do not count.

    Raises:
        InputError: The names tell no classes, or fewer than two classes count.
    """
    return _evaluate(labels_from_names(names), classes, ignore)


def _evaluate(
    labels: Sequence[str],
    classes: Sequence[str] | pd.Series | NDArray[Any],
    ignore: Collection[str],
) -> Evaluation:
    true = np.array([label or _UNLABELLED for label in labels])
    found = np.asarray(classes)
    dropped = np.isin(true, [*ignore, _UNLABELLED])
    names, counts = np.unique(true[dropped], return_counts=True)
    left_out = dict(zip(names.tolist(), counts.tolist(), strict=True))
    true, found = true[~dropped], found[~dropped]
    if len(np.unique(true)) < 2:
        raise InputError(
            f"fewer than two classes count once {', '.join(left_out) or 'nothing'} is left out; "
            "leave fewer classes out, or label parts of two"
        )
    return Evaluation(cluster_scores(true, found), len(true), left_out, confusion(true, found))


def evaluate_run(folder: str | Path, ignore: Collection[str] = LEFT_OUT) -> Evaluation:
    """Scores the parts of a finished run or of a prediction.

    Args:
        folder: Holds `images.csv`; its column `label`, if there is one, tells the true classes.
        ignore: True classes that do not count.

    Raises:
        InputError: No such table, or the parts have no labels and do not lie in a folder a class.
    """
    images = read_images(folder)
    return _evaluate(labels_from_table(images), images["class_name"], ignore)
