"""Scores of classes and of anomaly maps, as the papers report them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, roc_auc_score

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
    """Matches predicted classes with true classes one to one, so that most samples agree.

    Args:
        labels_true: True class of each sample, (N,).
        labels_pred: Predicted class of each sample, (N,).

    Returns:
        Predicted class to true class, in the order of the true classes (Hungarian method). Surplus
        classes on either side, and classes that share no sample with their match, are left out.

    Raises:
        InputError: No samples, or not as many labels of both kinds.
    """
    return _match(_contingency(labels_true, labels_pred))


def confusion(labels_true: Labels, labels_pred: Labels) -> pd.DataFrame:
    """Counts the samples of each true class in each predicted class.

    Args:
        labels_true: True class of each sample, (N,).
        labels_pred: Predicted class of each sample, (N,).

    Returns:
        A row for each true class, sorted, and a column for each predicted class: first the matched
        classes in the order of the rows, then the others, sorted.

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


LIMIT = 0.3
"""False positive rate up to which AUPRO is taken (Bergmann et al., MVTec AD, IJCV 2021)."""
N_BINS = 65536
"""Number of bins in which the scores of pixels are counted."""


@dataclass(frozen=True)
class MapScores:
    """Scores of anomaly maps; None where images or pixels of one kind are missing."""

    image_auroc: float | None
    """Of the maxima of the maps, normal against defective images, 0..1; 0.5 is chance."""
    pixel_auroc: float | None = None
    """Of all pixels, normal against defective, 0..1; 0.5 is chance."""
    aupro: float | None = None
    """Area under the per-region overlap up to a false positive rate of `LIMIT`, 0..1."""


def image_auroc(scores: NDArray[np.floating], defective: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of images.

    Args:
        scores: (N,), the maximum of each map.
        defective: (N,), bool.

    Returns:
        0..1; None unless there are images of both kinds.
    """
    if defective.all() or not defective.any():
        return None
    return float(roc_auc_score(defective, scores))


def label_regions(truth: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Numbers the 8-connected regions of a mask.

    Args:
        truth: (H, W), bool.

    Returns:
        (H, W): 1, 2, ... within the regions, 0 elsewhere.
    """
    return np.asarray(cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)[1], np.int32)


class PixelHistograms:
    """Histograms of the scores of normal and of defective pixels; maps are added one at a time.

    Memory does not grow with the number of maps: the histograms take 1.6 MB, and a map that is
    being added about 20 bytes for each pixel. Scores in one bin count as equal; everything else is
    exact.

    Args:
        low: Smallest score of all maps.
        high: Largest score of all maps.
        n_bins: Bins of equal width between them.
    """

    def __init__(self, low: float, high: float, n_bins: int = N_BINS) -> None:
        self._low, self._n_bins = np.float32(low), n_bins
        self._per_unit = np.float32(n_bins / (high - low)) if high > low else np.float32(0)
        self.normal = np.zeros(n_bins, np.int64)
        """(n_bins,): pixels outside of all defects."""
        self.defective = np.zeros(n_bins, np.int64)
        """(n_bins,): pixels of defects."""
        self.by_region = np.zeros(n_bins, np.float64)
        """(n_bins,): pixels of defects, weighted so that each region has a weight of 1."""

    def add(
        self,
        anomaly_map: NDArray[np.float32],
        regions: NDArray[np.int32],
        ignored: NDArray[np.bool_] | None = None,
    ) -> None:
        """Counts the pixels of one map.

        Args:
            anomaly_map: (h, w); resized bilinearly to (H, W).
            regions: (H, W), see `label_regions`.
            ignored: (H, W), pixels that do not count; None counts all.
        """
        bins = self._bins(anomaly_map, (regions.shape[0], regions.shape[1])).ravel()
        owners = regions.ravel()
        if ignored is not None:
            bins, owners = bins[~ignored.ravel()], owners[~ignored.ravel()]
        counts = np.bincount(bins, minlength=self._n_bins)
        inside = np.flatnonzero(owners)
        if len(inside):
            region, defective_bins = owners[inside], bins[inside]
            defective = np.bincount(defective_bins, minlength=self._n_bins)
            weights = 1 / np.bincount(region)[region]
            self.by_region += np.bincount(defective_bins, weights, self._n_bins)
            self.defective += defective
            counts -= defective
        self.normal += counts

    def _bins(self, anomaly_map: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.int64]:
        scores = anomaly_map
        if scores.shape != shape:
            scores = np.asarray(
                cv2.resize(scores, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
            )
        bins = ((scores - self._low) * self._per_unit).astype(np.int64)
        return np.clip(bins, 0, self._n_bins - 1, out=bins)


def pixel_auroc(histograms: PixelHistograms) -> float | None:
    """Area under the ROC curve of pixels.

    Args:
        histograms: Of all maps.

    Returns:
        0..1; None unless there are pixels of both kinds.
    """
    return _area(histograms.normal, histograms.defective, 1.0)


def aupro(histograms: PixelHistograms, limit: float = LIMIT) -> float | None:
    """Area under the per-region overlap, in which small and large defects count alike.

    The overlap at a threshold is the share of a region's pixels above it, averaged over all
    8-connected regions of all images. Its curve over the false positive rate, the share of normal
    pixels above the threshold, is integrated up to `limit` and divided by `limit`.

    Args:
        histograms: Of all maps.
        limit: Largest false positive rate, above 0, at most 1.

    Returns:
        0..1; None unless there are pixels of both kinds (Bergmann et al., IJCV 2021).
    """
    return _area(histograms.normal, histograms.by_region, limit)


def _area(
    negatives: NDArray[np.int64], positives: NDArray[np.int64] | NDArray[np.float64], limit: float
) -> float | None:
    """Integrates the curve of the shares of two histograms above a falling threshold."""
    if not negatives.any() or not positives.any():
        return None
    x, y = (
        np.append(0, np.cumsum(counts[::-1])) / counts.sum() for counts in (negatives, positives)
    )
    within = x <= limit
    x, y = np.append(x[within], limit), np.append(y[within], np.interp(limit, x, y))
    return float(np.trapezoid(y, x) / limit)
