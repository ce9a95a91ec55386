"""A sample that stands for all regions where these are too many to compare each with each.

What is learnt by comparing regions with each other takes time with their square. Of more than
`MANY` regions a random sample is compared, and all regions are then judged by what was learnt from
it, block by block, so that time grows in proportion to their number, and memory by little more than
the descriptors need.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MANY = 10_000
"""More regions are not compared with each other."""
SAMPLE = 4096
"""Regions of a sample."""
BLOCK = 10_240
"""Regions that are looked at at a time; up to `MANY` are one block."""


def sample(count: int, seed: int) -> NDArray[np.int64]:
    """Rows of a random sample of regions, in ascending order; all of them up to `MANY`."""
    if count <= MANY:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, SAMPLE, replace=False))


def sample_of_images(images: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rows of the regions of randomly drawn images, in ascending order; all up to `MANY`.

    An image is drawn with all of its regions, so that none of the others has a region in the
    sample. Images are drawn until there are `SAMPLE` regions, and at least two; only of images with
    thousands of regions a part is taken.

    Args:
        images: Index of the image of each region, (R,).
        seed: Of the drawing.
    """
    if len(images) <= MANY:
        return np.arange(len(images))
    names, position, counts = np.unique(images, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    n_drawn = max(2, int(np.searchsorted(counts[order].cumsum(), SAMPLE, "right")))
    drawn = np.zeros(len(names), np.bool_)
    drawn[order[:n_drawn]] = True
    rows = np.flatnonzero(drawn[position])
    return rows[sample(len(rows), seed)]


def blocks(count: int) -> Iterator[slice]:
    """Consecutive slices of at most `BLOCK` regions; an empty one where there is none."""
    for start in range(0, max(count, 1), BLOCK):
        yield slice(start, min(start + BLOCK, count))


def mean_of(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean of some rows of (R, D), (D,); of many without a copy of them."""
    if len(rows) <= MANY:
        mean: NDArray[np.float32] = features[rows].mean(0)
        return mean
    total = np.zeros(features.shape[1])
    for block in blocks(len(rows)):
        total += features[rows[block]].sum(0)
    return np.asarray(total / len(rows), np.float32)


def largest(values: NDArray[np.float32], count: int, many: bool) -> NDArray[np.int64]:
    """Columns of the largest values of each row, (B, count), in any order.

    Args:
        values: (B, N).
        count: At most N.
        many: Whether there are many more rows than these; the columns are then found three times as
            fast, but in another order, which decides how the means over them are rounded.
    """
    if many:
        import torch

        return torch.topk(torch.from_numpy(values), count, dim=1, sorted=False).indices.numpy()
    return np.argpartition(-values, count - 1, axis=1)[:, :count]
