"""Which regions a person is asked about first."""

import numpy as np
from numpy.typing import NDArray

from anomalyncd.regions.table import Regions

N_CANDIDATES = 1500
"""Regions among which the first are chosen; more are sampled by how much they matter."""
N_CHOSEN = 100
"""Regions that are chosen one after the other; all others follow by how much they matter."""
SHARPNESS = 5.0
"""A region is answered for by one at a cosine c to the degree exp(SHARPNESS * (c - 1))."""
LEAST = 0.3
"""What a certain region matters beside one that could as well be of another class, which is 1.3."""


def order_to_ask(
    features: NDArray[np.float32],
    regions: Regions,
    probabilities: NDArray[np.float32],
    said: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:
    """Regions that have not been named, those first whose class would teach most.

    A region matters the more, the less certain its class is and the more of the area of its image
    it covers. Each next region is the one that answers for most of what matters and was not
    answered for by those before it or by those that were named (facility location).

    Args:
        features: Unit descriptors, (R, D).
        regions: The regions, with their images and areas.
        probabilities: Current class probabilities, (R, C).
        said: Class of each region that a person named, -1 for the others, (R,).
        seed: Of the sample of candidates.

    Returns:
        Their rows, each once.
    """
    open_rows = np.flatnonzero(said < 0)
    matters = (1 + LEAST - _lead(probabilities)) * _area_shares(regions)
    rows = _candidates(open_rows, matters, seed)
    covered = _cover(features, rows, np.flatnonzero(said >= 0))
    likeness = np.exp(SHARPNESS * (features[rows] @ features[rows].T - 1))
    chosen: list[int] = []
    for _ in range(min(N_CHOSEN, len(rows))):
        gains = matters[rows] @ np.maximum(likeness - covered[:, None], 0)
        gains[chosen] = -1
        best = int(gains.argmax())
        chosen.append(best)
        covered = np.maximum(covered, likeness[:, best])
    first = rows[chosen]
    rest = np.setdiff1d(open_rows, first)
    return np.concatenate([first, rest[np.argsort(-matters[rest], kind="stable")]])


def _lead(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much the most probable class exceeds the second, (R,)."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities), np.float32)
    ordered = np.partition(probabilities, -2, axis=1)
    lead: NDArray[np.float32] = ordered[:, -1] - ordered[:, -2]
    return lead


def _area_shares(regions: Regions) -> NDArray[np.float32]:
    """Square root of each region's area as a share of its image's sum, (R,)."""
    sides = np.sqrt(np.maximum(regions.area, 1).astype(np.float64))
    return np.asarray(sides / np.bincount(regions.image, sides)[regions.image], np.float32)


def _candidates(
    rows: NDArray[np.int64], matters: NDArray[np.float32], seed: int
) -> NDArray[np.int64]:
    if len(rows) <= N_CANDIDATES:
        return rows
    weights = matters[rows].astype(np.float64)
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(rows, N_CANDIDATES, replace=False, p=weights / weights.sum()))


def _cover(
    features: NDArray[np.float32], rows: NDArray[np.int64], named: NDArray[np.int64]
) -> NDArray[np.float32]:
    """To what degree named regions answer for each row, (len(rows),)."""
    covered = np.zeros(len(rows), np.float32)
    for start in range(0, len(named), 2048):
        cosines = features[rows] @ features[named[start : start + 2048]].T
        covered = np.maximum(covered, np.exp(SHARPNESS * (cosines.max(1) - 1)))
    return covered
