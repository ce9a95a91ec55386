"""Which regions have more of their like among new regions than among known ones."""

import numpy as np
from numpy.typing import NDArray

N_NEIGHBOURS = 5
"""Known regions that a region is compared with."""
SURPLUS = 2.0
"""New regions that a region is compared with, as a multiple of what their number would suggest."""
N_PASSES = 2
"""How often the result is averaged over neighbours."""
_BLOCK = 512


def newness(
    features: NDArray[np.float32],
    images: NDArray[np.int64],
    known_features: NDArray[np.float32],
    known_images: NDArray[np.int64],
) -> NDArray[np.float32]:
    """How much nearer each new region is to other new ones than to known ones.

    Where new regions are of known kinds, they are spread among the known ones, and the fifth known
    neighbour is about as near as that new neighbour which has as many others before it in
    proportion to all new regions. Twice as many are compared, so that chance is not taken for
    something new. Regions of one image are not compared. The differences are averaged over the
    nearest new regions, because a kind is new as a whole.

    Args:
        features: Unit descriptors of the new regions, (B, D).
        images: Index of the image of each, (B,).
        known_features: Unit descriptors of the known regions, (R, D).
        known_images: Index of the image of each, (R,).

    Returns:
        Mean cosine with new neighbours minus mean cosine with known neighbours, (B,); positive
        where a region belongs to something new.
    """
    n_known, n_new = min(N_NEIGHBOURS, len(known_features)), min(N_NEIGHBOURS, len(features))
    proportionate = round(SURPLUS * N_NEIGHBOURS * len(features) / len(known_features))
    n_compared = min(max(n_new, proportionate), len(features))
    surplus = np.empty(len(features), np.float32)
    neighbours = np.empty((len(features), n_new), np.int64)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        to_new = _cosines(features[rows], images[rows], features, images)
        to_known = _cosines(features[rows], images[rows], known_features, known_images)
        surplus[rows] = _mean_of_highest(to_new, n_compared) - _mean_of_highest(to_known, n_known)
        neighbours[rows] = np.argpartition(-to_new, n_new - 1, axis=1)[:, :n_new]
    for _ in range(N_PASSES):
        surplus = (surplus + surplus[neighbours].mean(1)) / 2
    return surplus


def _cosines(
    features: NDArray[np.float32],
    images: NDArray[np.int64],
    others: NDArray[np.float32],
    other_images: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Cosines, (B, R); -1 within one image."""
    cosines: NDArray[np.float32] = features @ others.T
    cosines[images[:, None] == other_images] = -1
    return cosines


def _mean_of_highest(cosines: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    highest = np.partition(cosines, cosines.shape[1] - count, axis=1)[:, -count:]
    mean: NDArray[np.float32] = highest.mean(1)
    return mean
