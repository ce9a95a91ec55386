"""Where the prototypes begin."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional


def spherical_kmeans(
    features: NDArray[np.float32],
    normal: NDArray[np.float32],
    n_classes: int,
    seed: int,
) -> Tensor:
    """Unit centres of k-means on unit vectors, the normal one first.

    The first novel prototype is the one that pseudo-label correction turns into "normal". Where
    some regions are surely normal it starts at their mean, and the others are split among the rest;
    otherwise the centre whose regions are most surely normal takes that place.

    Args:
        features: Region descriptors, (R, D), unit length.
        normal: How surely each region is normal, (R,), 0..1.
        n_classes: Number of centres; with fewer regions, the rest repeat those there are.
        seed: Of the start.

    Returns:
        Centres, (n_classes, D), float32.
    """
    sure = normal > 0.5
    if sure.any() and not sure.all():
        others, _ = kmeans(features[~sure], n_classes - 1, seed)
        centres = np.concatenate([features[sure].mean(0, keepdims=True), others])
    else:
        centres, labels = kmeans(features, n_classes, seed)
        order = np.argsort([-normal[labels == label].mean() for label in range(len(centres))])
        centres = centres[order]
    kept = np.resize(np.arange(len(centres)), n_classes)
    return torch.nn.functional.normalize(torch.from_numpy(centres[kept]).float(), dim=1)


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
    features: NDArray[np.float32], n_classes: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Centres, (C, D), and the centre of each row; C falls short where fewer rows differ."""
    n_centres = min(n_classes, len(np.unique(features, axis=0)))
    model = KMeans(n_centres, n_init=10, random_state=seed).fit(features)
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


def _match(overlap: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each class of one head that of the other, (K,); the normal ones belong together."""
    rest = linear_sum_assignment(overlap[1:, 1:], maximize=True)[1] + 1
    return np.concatenate([[0], rest])
