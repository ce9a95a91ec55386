"""How surely a region is normal, by its anomaly score and those of its nearest neighbours."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.discovery.sampling import MANY, blocks, largest, sample
from anomalyncd.io.component import Component
from anomalyncd.regions.table import Regions

PUBLISHED_SPLIT = 0.5
N_PASSES = 2
"""How often scores are averaged over neighbours."""
OWN_SHARE = 0.5
"""Weight of a region's own score beside that of its neighbours."""
TEMPERATURE = 0.1
STEEPNESS = 10.0
N_NORMAL_CENTRES = 3
N_RESAMPLES = 100


def published_weights(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight of "normal" in pseudo-label correction, `max(0, 0.5 - s)` (AnomalyNCD, eq. 6)."""
    weights: NDArray[np.float32] = np.maximum(PUBLISHED_SPLIT - scores, 0).astype(np.float32)
    return weights


@dataclass(frozen=True, eq=False)
class Normality(Component):
    """Decides how surely a region is normal, from smoothed scores and normal centres (our own).

    The score of a single region is unreliable where the detector is weak, and neighbours resemble
    each other in their place as well as in their state, so half of the evidence is a region's own
    score and half the mean over its nearest neighbours. The published weight compares a score with
    a fixed 0.5; here the threshold is found in the smoothed scores. Normal regions differ from each
    other, so several centres describe them.
    """

    features: NDArray[np.float32]
    """(R, D): unit descriptors of the regions it was learnt from, of many a sample."""
    scores: NDArray[np.float32]
    """(R,): their smoothed scores, 0..1."""
    centres: NDArray[np.float32]
    """(M, D): unit centres of the normal ones; M = 0 where none is normal."""
    threshold: float
    """Smoothed score that is as likely normal as not."""

    def weights(
        self, features: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """How surely each new region is normal, by its score and those of its nearest neighbours.

        Args:
            features: Unit descriptors, (B, D).
            scores: Their own scores, (B,), 0..1.

        Returns:
            (B,), 0..1; 0.5 where the smoothed score meets the threshold.
        """
        many = len(features) > MANY
        smoothed = [self._smooth(features[one], scores[one], many) for one in blocks(len(features))]
        return normal_weights(np.concatenate(smoothed), self.threshold)

    def posterior(
        self,
        features: NDArray[np.float32],
        cosines: NDArray[np.float32],
        normal: NDArray[np.float32],
        temperature: float,
    ) -> NDArray[np.float32]:
        """Class probabilities: how a region looks, weighed by how surely it is normal.

        Args:
            features: Unit descriptors, (R, D).
            cosines: With each prototype, (R, K), the normal one first.
            normal: How surely each region is normal, (R,).
            temperature: Divides the cosines.

        Returns:
            (R, K), float32.
        """
        likeness = cosines.copy()
        if len(self.centres):
            likeness[:, 0] = (features @ self.centres.T).max(1)
        odds = np.exp((likeness - likeness.max(1, keepdims=True)) / temperature)
        odds[:, 0] *= normal
        odds[:, 1:] *= (1 - normal)[:, None]
        posterior: NDArray[np.float32] = odds / np.maximum(odds.sum(1, keepdims=True), 1e-30)
        return posterior

    def _smooth(
        self, features: NDArray[np.float32], scores: NDArray[np.float32], many: bool
    ) -> NDArray[np.float32]:
        similarity, neighbours = _nearest(features, self.features, many)
        own = np.ones((len(features), 1), np.float32)
        similarity = np.concatenate([own, similarity], axis=1)
        averaged = scores
        for _ in range(N_PASSES):
            known = np.concatenate([averaged[:, None], self.scores[neighbours]], axis=1)
            averaged = _weighted_mean(known, similarity)
        return _smoothed(scores, averaged)


def surely_normal(
    normality: Normality | None, normal: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """How surely each region is normal when prototypes begin, (R,); None where none of them is.

    By the published rule, which fits no normality, the centre with the lowest mean score becomes
    the normal one.

    Args:
        normality: What was fitted; None by the published rule.
        normal: How surely each region is normal by it, (R,).
        scores: Anomaly scores of the regions, (R,), 0..1.
    """
    if normality is None:
        return np.asarray(PUBLISHED_SPLIT - scores, np.float32)
    return normal if (normal > 0.5).any() else None


def fit_normality(
    features: NDArray[np.float32], regions: Regions, seed: int
) -> tuple[Normality, NDArray[np.float32]]:
    """Smooths the scores of all regions, finds the threshold and the normal centres.

    Of more than `MANY` regions a sample is smoothed; the others are judged like new regions.

    Args:
        features: Unit descriptors, (R, D).
        regions: The regions, with their anomaly scores. The threshold is at most their
            `max_normal_score`: where nearly all regions are anomalous, the best split would
            separate weak defects from strong ones.
        seed: Seed of the threshold and of the centres.

    Returns:
        What new regions are judged by, and how surely each of these regions is normal, (R,).
    """
    rows = sample(len(features), seed)
    if len(rows) == len(features):
        return _fit(features, regions, seed)
    normality, normal_rows = _fit(features[rows], regions.select(rows), seed)
    normal = normality.weights(features, regions.score)
    normal[rows] = normal_rows
    return normality, normal


def normal_weights(scores: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """A steep step at the threshold, from 1 (normal) to 0, (R,)."""
    ratio = np.maximum(scores, 1e-6) / max(threshold, 1e-6)
    return (1 / (1 + np.minimum(ratio, 1e3) ** STEEPNESS)).astype(np.float32)


def steady_threshold(values: NDArray[np.float32], seed: int) -> float:
    """Median of the minimum cross-entropy thresholds of resamples (our own).

    Where scores have several modes, that threshold jumps from one gap to another with a few values
    more or less; the median over bootstrap samples does not.

    Args:
        values: (N,), not negative.
        seed: Of the resamples.
    """
    rng = np.random.default_rng(seed)
    resamples = (rng.choice(values, len(values)) for _ in range(N_RESAMPLES))
    return float(np.median([minimum_cross_entropy(one) for one in resamples]))


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
        if bright <= dark:
            break  # Equal but for rounding, or all but zero.
        new = (bright - dark) / (np.log(bright) - np.log(dark))
        if abs(new - threshold) < 1e-6:
            break
        threshold = float(new)
    return threshold


def _fit(
    features: NDArray[np.float32], regions: Regions, seed: int
) -> tuple[Normality, NDArray[np.float32]]:
    similarity, neighbours = _nearest(features, features)
    averaged = regions.score
    for _ in range(N_PASSES):
        averaged = _weighted_mean(averaged[neighbours], similarity)
    smoothed = _smoothed(regions.score, averaged)
    threshold = min(steady_threshold(smoothed, seed), regions.max_normal_score)
    if np.ptp(smoothed) < 1e-5:
        threshold = PUBLISHED_SPLIT  # Nothing to compare with.
    normal = normal_weights(smoothed, threshold)
    sure = features[normal > 0.5]
    centres = np.zeros((0, features.shape[1]), np.float32)
    if len(sure):
        from anomalyncd.discovery.prototypes import kmeans

        centres = kmeans(sure, N_NORMAL_CENTRES, seed)[0]
        centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return Normality(features, smoothed, centres.astype(np.float32), threshold), normal


def _smoothed(scores: NDArray[np.float32], averaged: NDArray[np.float32]) -> NDArray[np.float32]:
    mixed: NDArray[np.float32] = OWN_SHARE * scores + (1 - OWN_SHARE) * averaged
    return mixed


def _nearest(
    queries: NDArray[np.float32], keys: NDArray[np.float32], many: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines and indices of the nearest keys of each query, the square root of their number.

    Blocks of queries bound the memory to `2048 * len(keys)` numbers.
    """
    count = max(1, round(math.sqrt(len(keys))))
    cosines, indices = [], []
    for start in range(0, len(queries), 2048):
        similarity = queries[start : start + 2048] @ keys.T
        columns = largest(similarity, count, many)
        cosines.append(np.take_along_axis(similarity, columns, axis=1))
        indices.append(columns)
    return np.concatenate(cosines), np.concatenate(indices)


def _weighted_mean(
    values: NDArray[np.float32], similarity: NDArray[np.float32]
) -> NDArray[np.float32]:
    weights = np.exp((similarity - 1) / TEMPERATURE)
    mean: NDArray[np.float32] = (weights * values).sum(1) / weights.sum(1)
    return mean
