"""Baselines that cluster whole images by one frozen vector: k-means and GCD."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.discovery.prototypes import kmeans
from anomalyncd_bench.baselines.inputs import BaselineInputs

_STARTS = 10
_MOST_STEPS = 200


@dataclass(frozen=True)
class KMeansOnCls:
    """k-means on CLS tokens of whole images, ten starts; the simplest baseline."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        return kmeans(inputs.images.cls, inputs.n_classes, inputs.seed)[1]


@dataclass(frozen=True)
class GCD:
    """Generalized category discovery (Vaze et al., CVPR 2022): semi-supervised k-means.

    Labelled images stay in their class; the others may join any cluster, also that of a labelled
    class. The centres of labelled classes start at their means, the others as in k-means++ among
    the images without a label; the best of ten starts counts (100 in the paper). Simplified: frozen
    tokens, without the contrastive fine-tuning of the last block. Without labelled images it is
    k-means on unit vectors.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`; labelled classes, which may be predicted too, come last."""
        novel = _unit(inputs.images.cls)
        if inputs.base is None:
            return kmeans(novel, inputs.n_classes, inputs.seed)[1]
        base = inputs.base
        known = _unit(base.cls)
        found = semi_supervised_kmeans(novel, known, base.labels, inputs.n_classes, inputs.seed)
        return (found - base.n_classes) % (base.n_classes + inputs.n_classes)


def semi_supervised_kmeans(
    novel: NDArray[np.float32],
    known: NDArray[np.float32],
    labels: NDArray[np.int64],
    n_novel: int,
    seed: int,
) -> NDArray[np.int64]:
    """k-means in which the class of some points is fixed.

    Args:
        novel: Points that may join any cluster, (N, D).
        known: Points with a fixed class, (B, D).
        labels: Class of each of these, (B,), 0 and up, none empty.
        n_novel: Number of clusters besides those classes.
        seed: Seed of the starts.

    Returns:
        Cluster of each novel point, (N,): known classes first.
    """
    counts = np.bincount(labels).astype(np.float32)
    sums = np.stack([known[labels == label].sum(0) for label in range(len(counts))])
    means = (sums / counts[:, None]).astype(np.float32)
    rng = np.random.default_rng(seed)
    best, least = np.zeros(len(novel), np.int64), np.inf
    for _ in range(_STARTS):
        centres = _spread(novel, means, n_novel, rng)
        for _ in range(_MOST_STEPS):
            closest = _squared_distances(novel, centres).argmin(1)
            moved = _means(novel, closest, centres, sums, counts)
            if np.array_equal(moved, centres):
                break
            centres = moved
        distances = _squared_distances(novel, centres)
        inertia = distances.min(1).sum() + np.square(known - centres[labels]).sum()
        if inertia < least:
            best, least = distances.argmin(1), inertia
    return best


def _spread(
    points: NDArray[np.float32],
    centres: NDArray[np.float32],
    n_more: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """The centres and further points, far from them and from each other, as in k-means++."""
    for _ in range(n_more):
        distances = _squared_distances(points, centres).min(1).astype(np.float64)
        chance = distances / distances.sum() if distances.any() else None
        centres = np.concatenate([centres, points[rng.choice(len(points), 1, p=chance)]])
    return centres


def _means(
    novel: NDArray[np.float32],
    closest: NDArray[np.int64],
    centres: NDArray[np.float32],
    sums: NDArray[np.float32],
    counts: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Centres of the clusters; an empty one stays where it was."""
    moved = centres.copy()
    for cluster in range(len(centres)):
        members = novel[closest == cluster]
        total, count = members.sum(0), len(members)
        if cluster < len(sums):
            total, count = total + sums[cluster], count + counts[cluster]
        if count:
            moved[cluster] = total / count
    return moved


def _squared_distances(
    points: NDArray[np.float32], centres: NDArray[np.float32]
) -> NDArray[np.float32]:
    squares: NDArray[np.float32] = np.square(points[:, None] - centres).sum(-1)
    return squares


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
