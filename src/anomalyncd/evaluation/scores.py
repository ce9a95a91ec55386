"""How well discovered classes agree with the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from anomalyncd.errors import InputError

Label: TypeAlias = int | str
Labels: TypeAlias = Sequence[Label] | NDArray[Any] | pd.Series


@dataclass(frozen=True)
class ClusterScores:
    """Agreement of a clustering with the true classes; 1 is perfect in each."""

    nmi: float
    """Normalised mutual information, 0..1."""
    ari: float
    """Adjusted Rand index, -0.5..1; 0 is chance."""
    f1: float
    """Micro F1 after one-to-one matching of the classes, 0..1: the share of samples whose
    predicted class is matched with their true one."""


def cluster_scores(labels_true: Labels, labels_pred: Labels) -> ClusterScores:
    """Scores a clustering as the papers do (AnomalyNCD's experiments).

    Args:
        labels_true: True class of each sample, (N,), integers or strings.
        labels_pred: Predicted class of each sample, (N,), integers or strings; how many there are
            may differ from the number of true classes.

    Returns:
        The three scores.

    Raises:
        InputError: No samples, or not as many labels of both kinds.
    """
    counts = _contingency(labels_true, labels_pred)
    matched = counts.to_numpy()[linear_sum_assignment(counts, maximize=True)].sum()
    return ClusterScores(
        nmi=float(normalized_mutual_info_score(labels_true, labels_pred)),
        ari=float(adjusted_rand_score(labels_true, labels_pred)),
        f1=float(matched / len(labels_true)),
    )


def match_classes(labels_true: Labels, labels_pred: Labels) -> dict[Label, Label]:
    """Names each predicted class after at most one true class, so that most samples agree.

    Args:
        labels_true: True class of each sample, (N,).
        labels_pred: Predicted class of each sample, (N,).

    Returns:
        Predicted to true class, in the order of the true ones (Hungarian method). Classes that are
        too many on either side, or share no sample with what is left for them, are not in it.

    Raises:
        InputError: No samples, or not as many labels of both kinds.
    """
    return _match(_contingency(labels_true, labels_pred))


def confusion(labels_true: Labels, labels_pred: Labels) -> pd.DataFrame:
    """Counts how samples of each true class were distributed over the predicted ones.

    Args:
        labels_true: True class of each sample, (N,).
        labels_pred: Predicted class of each sample, (N,).

    Returns:
        One row a true class, sorted; one column a predicted class: first those matched, in the
        order of the rows, then the others, sorted.

    Raises:
        InputError: No samples, or not as many labels of both kinds.
    """
    counts = _contingency(labels_true, labels_pred)
    matched = list(_match(counts))
    return counts[matched + [name for name in counts.columns if name not in matched]]


def _contingency(labels_true: Labels, labels_pred: Labels) -> pd.DataFrame:
    if len(labels_true) != len(labels_pred) or len(labels_true) == 0:
        raise InputError(
            f"{len(labels_true)} true labels for {len(labels_pred)} predicted ones; "
            "give one of each for every sample, and at least one"
        )
    # Arrays, since crosstab would pair series by their index.
    return pd.crosstab(
        np.asarray(labels_true),
        np.asarray(labels_pred),
        rownames=["true class"],
        colnames=["predicted class"],
    )


def _match(counts: pd.DataFrame) -> dict[Label, Label]:
    rows, columns = linear_sum_assignment(counts, maximize=True)
    shared = counts.to_numpy()[rows, columns] > 0
    return dict(zip(counts.columns[columns[shared]], counts.index[rows[shared]], strict=True))
