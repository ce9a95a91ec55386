"""How far the difference of two methods depends on the choice of the images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

SCORES = ("nmi", "ari", "f1")
N_RESAMPLES = 1000
_LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """First method minus second in one score, each averaged over its seeds."""

    mean: float
    """On all images."""
    low: float
    """Lower end of the interval that contains 95 % of the resamples."""
    high: float
    """Upper end."""


def paired_differences(
    true: NDArray[np.int64],
    first: Sequence[NDArray[np.int64]],
    second: Sequence[NDArray[np.int64]],
    parts: NDArray[np.int64] | None = None,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Difference]:
    """Bootstrap intervals over parts; both methods get the same images in every resample.

    Photographs of one part resemble each other, so they are drawn together. The variation over
    seeds is averaged out and not in the interval.

    Args:
        true: True class of each image, (N,), 0 and up.
        first: For each seed the class of each image, (N,), 0 and up.
        second: The same for the other method.
        parts: Number of the part that each image shows, (N,), from 0 on without gaps; None takes
            every image for a part of its own.
        n_resamples: How often as many parts are drawn, with replacement, as there are.

    Returns:
        For each of `SCORES` a difference with its interval (percentiles).
    """
    parts = np.arange(len(true)) if parts is None else parts
    n_parts = int(parts.max()) + 1
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(n_parts, np.full(n_parts, 1 / n_parts), n_resamples)
    weights = np.vstack([np.ones(len(true), np.int64), drawn[:, parts]])
    gaps = _mean_scores(true, first, weights) - _mean_scores(true, second, weights)
    low, high = np.quantile(gaps[:, 1:], [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=1)
    return {
        name: Difference(float(gaps[index, 0]), float(low[index]), float(high[index]))
        for index, name in enumerate(SCORES)
    }


def _mean_scores(
    true: NDArray[np.int64], seeds: Sequence[NDArray[np.int64]], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(scores, resamples), averaged over seeds."""
    scores = [weighted_scores(true, predicted, weights) for predicted in seeds]
    return np.asarray(np.mean(scores, axis=0))


def weighted_scores(
    true: NDArray[np.int64], predicted: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """NMI, ARI and F1 as `cluster_scores` defines them, for many weightings of the images at once.

    Args:
        true: (N,), 0 and up.
        predicted: (N,), 0 and up.
        weights: How often each image counts, (B, N).

    Returns:
        (3, B).
    """
    n_true, n_predicted = int(true.max()) + 1, int(predicted.max()) + 1
    pairs = np.eye(n_true * n_predicted)[true * n_predicted + predicted]
    counts = (weights @ pairs).reshape(-1, n_true, n_predicted)
    matched = [table[linear_sum_assignment(table, maximize=True)].sum() for table in counts]
    f1 = np.array(matched) / weights.sum(1)
    return np.stack([_nmi(counts), _ari(counts), f1])


def _nmi(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = counts / counts.sum((1, 2), keepdims=True)
    joint, rows, columns = (_entropy(one) for one in (shares, shares.sum(2), shares.sum(1)))
    mean = (rows + columns) / 2
    mutual = rows + columns - joint
    # Two clusterings that each have a single class agree.
    return np.where(mean > 0, mutual / np.where(mean > 0, mean, 1), 1.0)


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = shares.reshape(len(shares), -1)
    return np.asarray(-np.sum(flat * np.log(np.where(flat > 0, flat, 1)), axis=1))


def _ari(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    together = _pairs(counts).sum((1, 2))
    rows, columns = _pairs(counts.sum(2)).sum(1), _pairs(counts.sum(1)).sum(1)
    expected = rows * columns / _pairs(counts.sum((1, 2)))
    most = (rows + columns) / 2
    span = most - expected
    return np.where(span > 0, (together - expected) / np.where(span > 0, span, 1), 1.0)


def _pairs(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts * (counts - 1) / 2
