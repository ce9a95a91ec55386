"""Whether sizes and elongations of regions fall into clear groups, and on what scale they count."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

N_GROUPS = (2, 3)
"""Numbers of groups that are tried."""
LEAST_SHARE = 0.1
"""Share of the values that a group holds at least, so that a few outliers are no group."""
N_REFERENCES = 300
SIGNIFICANCE = 0.01
"""Share of the references that may be grouped as clearly. Any value from .01 to .2 gives the same
decisions on the sets of docs/decisions/shape.md, but for the sizes of magnetic tiles with true
masks, which change nothing there."""
_MOST_VALUES = 100
"""More values are thinned out, since time grows with the cube of their number."""
_FEWEST_VALUES = 6


def fit_shape_scale(shapes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Decides which measures of shape count, and how they are centred and scaled.

    Args:
        shapes: (R, M) of anomalous regions, see `Regions.shape`; rows with NaN are left out.

    Returns:
        The mean of each measure, (M,), and one divided by its standard deviation, (M,), which is 0
        for a measure without clear groups.
    """
    shapes = shapes[~np.isnan(shapes).any(1)]
    grouped = np.array([has_groups(values) for values in shapes.T], bool)
    if not grouped.any():
        return np.zeros(shapes.shape[1]), np.zeros(shapes.shape[1])
    scale = np.divide(1, shapes.std(0), out=np.zeros(len(grouped)), where=grouped)
    return shapes.mean(0), scale


def has_groups(values: NDArray[np.float64]) -> bool:
    """Tests whether values fall into two or three groups more clearly than uniform ones.

    Args:
        values: (N,), without NaN. Fewer than six have no groups.

    Source: the gap statistic (Tibshirani and others, 2001), with the rank among the references as
    the test.
    """
    if len(values) < _FEWEST_VALUES or np.ptp(values) < 1e-6:
        return False
    values = np.sort(values)
    if len(values) > _MOST_VALUES:
        values = values[np.linspace(0, len(values) - 1, _MOST_VALUES).astype(int)]
    uniform = np.random.default_rng(0).uniform(size=(N_REFERENCES, len(values)))
    uniform.sort(axis=1)
    for n_groups in N_GROUPS:
        reference = variance_within(uniform, n_groups)
        if (reference <= variance_within(values[None], n_groups)).mean() <= SIGNIFICANCE:
            return True
    return False


def variance_within(values: NDArray[np.float64], n_groups: int) -> NDArray[np.float64]:
    """Least share of the variance that lies within groups of neighbouring values.

    Args:
        values: (B, N), each row in ascending order and not constant.
        n_groups: 2 or 3, each of at least two values and of `LEAST_SHARE` of all.

    Returns:
        (B,), 0..1.
    """
    values = values - values.mean(1, keepdims=True)
    start = np.zeros((len(values), 1))
    sums = np.concatenate([start, values.cumsum(1)], axis=1)
    most = np.zeros(len(values))
    # The variance between groups is the sum of (sum of a group) ** 2 / (size of the group).
    for splits in _splits(values.shape[1], n_groups):
        ends = [np.zeros_like(splits[0]), *splits, np.full_like(splits[0], values.shape[1])]
        between = sum(
            (sums[:, end] - sums[:, begin]) ** 2 / (end - begin) for begin, end in pairwise(ends)
        )
        most = np.maximum(most, np.max(between, axis=1))
    within: NDArray[np.float64] = 1 - most / np.square(values).sum(1)
    return within


def _splits(count: int, n_groups: int) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """Indices at which `count` values are split, in arrays of equal length."""
    least = max(2, int(np.ceil(LEAST_SHARE * count)))
    first = np.arange(least, count - (n_groups - 1) * least + 1)
    if n_groups == 2:
        yield (first,)
        return
    for split in first:
        second = np.arange(split + least, count - least + 1)
        yield np.full_like(second, split), second
