"""How surely a region is normal, by its anomaly score and by those of regions that look like it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_NEIGHBOURS = 10
N_PASSES = 3
TEMPERATURE = 0.1
STEEPNESS = 10.0


def published_weights(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight of "normal" in pseudo-label correction, `max(0, 0.5 - s)` (AnomalyNCD, eq. 6)."""
    return np.maximum(0.5 - scores, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Normality:
    """Scores smoothed over look-alikes, and the score that parts normal from anomalous (our own).

    A single score says little where a detector is weak; the scores of regions that look alike say
    more together. The published weight compares with a fixed 0.5 of a range that its largest map
    sets; here the split is found in the smoothed scores.
    """

    features: NDArray[np.float32]
    """(R, D): unit descriptors of the regions it was learnt from."""
    scores: NDArray[np.float32]
    """(R,): their smoothed scores, 0..1."""
    threshold: float
    """Smoothed score that is as likely normal as not."""

    def weights(
        self, features: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """How surely each region is normal.

        Args:
            features: Unit descriptors, (B, D).
            scores: Their own scores, (B,), 0..1.

        Returns:
            (B,), 0..1; 0.5 where the score of a region and its look-alikes meets the threshold.
        """
        similarity, neighbours = _nearest(features @ self.features.T, N_NEIGHBOURS)
        own = np.ones((len(features), 1), np.float32)
        known = np.concatenate([scores[:, None], self.scores[neighbours]], axis=1)
        smoothed = _weighted_mean(known, np.concatenate([own, similarity], axis=1))
        return normal_weights(smoothed, self.threshold)


def fit_normality(
    features: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[Normality, NDArray[np.float32]]:
    """Smooths the scores of all regions and finds the threshold.

    Args:
        features: Unit descriptors, (R, D).
        scores: Anomaly scores, (R,), 0..1.

    Returns:
        What new regions are judged by, and how surely each of these regions is normal, (R,).
    """
    similarity, neighbours = _nearest(features @ features.T, N_NEIGHBOURS)
    smoothed = scores
    for _ in range(N_PASSES):
        smoothed = _weighted_mean(smoothed[neighbours], similarity)
    threshold = minimum_cross_entropy(smoothed)
    return Normality(features, smoothed, threshold), normal_weights(smoothed, threshold)


def normal_weights(scores: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """A steep step at the threshold, from 1 (normal) to 0, (R,)."""
    ratio = np.maximum(scores, 1e-6) / max(threshold, 1e-6)
    return (1 / (1 + np.minimum(ratio, 1e3) ** STEEPNESS)).astype(np.float32)


def minimum_cross_entropy(values: NDArray[np.float32]) -> float:
    """Threshold that keeps most information when each side becomes its mean.

    Args:
        values: (N,), not negative.

    Returns:
        The threshold; the one value there is where all are equal.

    Source: Li and Tam, "An iterative algorithm for minimum cross entropy thresholding", 1998.
    """
    threshold = float(values.mean())
    for _ in range(100):
        low, high = values[values <= threshold], values[values > threshold]
        if not len(low) or not len(high):
            break
        dark, bright = max(float(low.mean()), 1e-9), float(high.mean())
        new = (bright - dark) / (np.log(bright) - np.log(dark))
        if abs(new - threshold) < 1e-6:
            break
        threshold = float(new)
    return threshold


def _nearest(
    similarity: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The largest values of each row and where they stand."""
    count = min(count, similarity.shape[1])
    columns = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    return np.take_along_axis(similarity, columns, axis=1), columns


def _weighted_mean(
    values: NDArray[np.float32], similarity: NDArray[np.float32]
) -> NDArray[np.float32]:
    weights = np.exp((similarity - 1) / TEMPERATURE)
    mean: NDArray[np.float32] = (weights * values).sum(1) / weights.sum(1)
    return mean
