"""Where the prototypes begin."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional

from anomalyncd.discovery.sampling import blocks, mean_of, sample

N_PASSES = 20
"""Passes of k-means over all of many regions at most."""
STEADY = 0.001
"""Share of many regions that may change their centre in the last pass."""


def start_centres(
    features: NDArray[np.float32],
    surely: NDArray[np.float32] | None,
    n_classes: int,
    seed: int,
) -> Tensor:
    """Unit centres that prototypes begin with, the normal one first, (n_classes, D).

    Args:
        features: Region descriptors, (R, D), unit length.
        surely: How surely each region is normal, see `surely_normal`.
        n_classes: Number of centres.
        seed: Of the start.
    """
    if surely is None:
        return centres_of_defects(features, n_classes, seed)
    return spherical_kmeans(features, surely, n_classes, seed)


def spherical_kmeans(
    features: NDArray[np.float32],
    normal: NDArray[np.float32],
    n_classes: int,
    seed: int,
) -> Tensor:
    """Unit centres of k-means on unit vectors, the normal one first.

    The first novel prototype is the one that pseudo-label correction turns into "normal". Where
    some regions are surely normal it starts at their mean, and the others are split among the rest;
    otherwise the centre whose regions are most surely normal in the mean takes that place.

    Args:
        features: Region descriptors, (R, D), unit length.
        normal: How surely each region is normal, (R,), at most 1; above 0.5 it surely is.
        n_classes: Number of centres; with fewer regions, the rest repeat those of defects.
        seed: Of the start.

    Returns:
        Centres, (n_classes, D), float32.
    """
    sure = normal > 0.5
    if sure.any() and not sure.all():
        others, _ = kmeans(features, n_classes - 1, seed, np.flatnonzero(~sure))
        centres = np.concatenate([mean_of(features, np.flatnonzero(sure))[None], others])
    else:
        centres, labels = kmeans(features, n_classes, seed)
        order = np.argsort([-normal[labels == label].mean() for label in range(len(centres))])
        centres = centres[order]
    defects = centres[1:] if len(centres) > 1 else centres
    repeated = np.resize(defects, (n_classes - len(centres), centres.shape[1]))
    unit = torch.from_numpy(np.concatenate([centres, repeated])).float()
    return torch.nn.functional.normalize(unit, dim=1)


def centres_of_defects(features: NDArray[np.float32], n_classes: int, seed: int) -> Tensor:
    """Unit centres of k-means where no region is normal; the normal one is zero.

    No kind of defect takes the place of the normal class, which is left to new regions with a low
    score.

    Args:
        features: Region descriptors, (R, D), unit length.
        n_classes: Number of centres, at least 2; with fewer regions, the rest repeat those there
            are.
        seed: Of the start.

    Returns:
        Centres, (n_classes, D), float32.
    """
    centres, _ = kmeans(features, n_classes - 1, seed)
    repeated = centres[np.resize(np.arange(len(centres)), n_classes - 1)]
    unit = torch.nn.functional.normalize(torch.from_numpy(repeated).float(), dim=1)
    return torch.cat([torch.zeros(1, unit.shape[1]), unit])


def kmeans(
    features: NDArray[np.float32],
    n_classes: int,
    seed: int,
    rows: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """k-means; of many regions, it starts on a sample and ends with passes over all of them.

    Args:
        features: (R, D).
        n_classes: Number of centres.
        seed: Of the start.
        rows: Those that are clustered, (N,); None clusters all.

    Returns:
        Centres, (C, D), and the centre of each row, (N,); C falls short where fewer rows differ.
    """
    rows = np.arange(len(features)) if rows is None else rows
    few = features[rows[sample(len(rows), seed)]]
    n_centres = min(n_classes, len(np.unique(few, axis=0)))
    model = KMeans(n_centres, n_init=10, random_state=seed).fit(few)
    if len(few) < len(rows):
        return _passes(features, rows, model.cluster_centers_)
    return model.cluster_centers_, np.asarray(model.labels_, np.int64)


def consensus(prototypes: Tensor, probabilities: NDArray[np.float32]) -> Tensor:
    """Mean of all heads' prototypes on the sphere, over matched classes (our own).

    Classes are alike that are given to the same regions (Hungarian matching); the first one is the
    normal one in every head. The head that agrees best with the others numbers the classes.

    Args:
        prototypes: (heads, K, D), unit length, the normal one first.
        probabilities: Of each region by each head, (heads, R, K).

    Returns:
        Unit prototypes, (K, D), in the order of that head.
    """
    overlaps = np.einsum("hrk,grl->hgkl", probabilities, probabilities, optimize=True)
    orders = [[_match(overlap) for overlap in row] for row in overlaps]
    agreement = [
        sum(
            overlap[np.arange(len(order)), order].sum() for overlap, order in zip(*one, strict=True)
        )
        for one in zip(overlaps, orders, strict=True)
    ]
    best = orders[int(np.argmax(agreement))]
    aligned = [head[torch.from_numpy(order)] for head, order in zip(prototypes, best, strict=True)]
    return functional.normalize(torch.stack(aligned).mean(0), dim=-1)


def _passes(
    features: NDArray[np.float32], rows: NDArray[np.int64], centres: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Lloyd's algorithm over all rows, block by block, from centres that are nearly right."""
    labels = np.full(len(rows), -1)
    for _ in range(N_PASSES):
        sums, counts, n_changed = np.zeros(centres.shape), np.zeros(len(centres)), 0
        for block in blocks(len(rows)):
            members = features[rows[block]]
            nearest = (members @ centres.T - (centres**2).sum(1) / 2).argmax(1)
            n_changed += int((labels[block] != nearest).sum())
            labels[block] = nearest
            sums += np.eye(len(centres), dtype=np.float32)[nearest].T @ members
            counts += np.bincount(nearest, minlength=len(centres))
        means = sums / np.maximum(counts, 1)[:, None]
        centres = np.where(counts[:, None] > 0, means, centres).astype(np.float32)
        if n_changed <= STEADY * len(rows):
            break
    return centres, labels


def _match(overlap: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each class of one head that of the other, (K,); the normal ones belong together."""
    rest = linear_sum_assignment(overlap[1:, 1:], maximize=True)[1] + 1
    return np.concatenate([[0], rest])
