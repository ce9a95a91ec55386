"""Scores of a run against the folders that its parts lie in."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.labels import labels_from_table
from anomalyncd.evaluation.scores import ClusterScores, cluster_scores, confusion
from anomalyncd.finished_run import read_table

LEFT_OUT = ("combined",)
"""Classes of MVTec AD that mix several kinds of defects; the papers leave them out."""
UNLABELLED = "no label"
"""What parts without a label are called among those left out."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well the classes of parts agree with their folders."""

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
    labels: Sequence[str] | NDArray[Any],
    classes: Sequence[str] | pd.Series | NDArray[Any],
    ignore: Collection[str] = LEFT_OUT,
) -> Evaluation:
    """Scores the classes of parts.

    Args:
        labels: True class of each part, (N,); "" where it is not known.
        classes: Discovered class of each part, (N,).
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
        images: See `Verdicts.images`.
        ignore: True classes that do not count.

    Raises:
        InputError: The parts neither have labels nor lie in a folder a class.
    """
    return evaluate_classes(labels_from_table(images), images["class_name"], ignore)


def evaluate_run(folder: str | Path, ignore: Collection[str] = LEFT_OUT) -> Evaluation:
    """Scores the parts of a finished run or of a prediction.

    Args:
        folder: Holds `images.csv`.
        ignore: True classes that do not count.

    Raises:
        InputError: No such table, or see `evaluate_images`.
    """
    return evaluate_images(read_table(folder), ignore)
