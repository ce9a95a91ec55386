"""Vectors in clusters, so that a patch need not be compared with all of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.runtime.compilation import compiled

N_CLUSTERS = 128
N_PROBED = 16
"""Clusters, those with the nearest centres, whose vectors a patch is compared with; see
docs/decisions/nearest-patches.md."""
_LEAST_SIZE = 64
"""Mean number of vectors of a cluster at least."""
_SAMPLE = 64
"""Vectors for each cluster from which centres are computed."""
_N_STEPS = 8
_BLOCK = 2**22
"""Products that are computed at once."""
Vectors = NDArray[np.float32]
Indices = NDArray[np.int64]


class Clusters:
    """Finds nearest vectors among those of the nearest clusters.

    Args:
        vectors: (N, C). `N * (C + 2) * 4` bytes are kept.
        lengths: Number of vectors of each of R references, one after the other.
    """

    def __init__(self, vectors: Vectors, lengths: Sequence[int]) -> None:
        self._centres = _fit_centres(vectors)
        self._n_references = len(lengths)
        references = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        nearest = np.empty(len(vectors), np.int64)
        self._stand_ins = np.empty((len(self._centres), len(lengths)), np.int64)
        for reference, stop in enumerate(np.cumsum(lengths)):
            start = stop - lengths[reference]
            some = vectors[start:stop]
            products = some @ self._centres.T
            nearest[start:stop] = (products - _half_squares(self._centres)).argmax(1)
            self._stand_ins[:, reference] = start + (products.T - _half_squares(some)).argmax(1)
        order = np.argsort(nearest, kind="stable")
        self._starts = np.searchsorted(nearest[order], np.arange(len(self._centres) + 1))
        self._vectors = vectors[order]
        self._rows, self._references = order.astype(np.int32), references[order]

    def nearest(self, patches: Vectors) -> Indices:
        """Finds the vector with the largest inner product in each reference.

        Args:
            patches: (P, C).

        Returns:
            Rows of the vectors, (R, P). Where the nearest clusters have none of a reference, that
            which is nearest to the nearest centre.
        """
        best = np.full((len(patches), self._n_references), -np.inf, np.float32)
        found = np.full(best.shape, -1, np.int64)
        nearness = patches @ self._centres.T - _half_squares(self._centres)
        probing, starts = _probing(nearness)
        for cluster in np.flatnonzero(np.diff(self._starts)):
            members = slice(self._starts[cluster], self._starts[cluster + 1])
            rows, of_cluster = self._rows[members], probing[starts[cluster] : starts[cluster + 1]]
            for some in np.array_split(of_cluster, -(-len(of_cluster) * len(rows) // _BLOCK) or 1):
                products = patches[some] @ self._vectors[members].T
                _keep_largest(products, some, self._references[members], rows, best, found)
        index = np.where(found < 0, self._stand_ins[nearness.argmax(1)], found)
        return np.ascontiguousarray(index.T)


def _probing(nearness: Vectors) -> tuple[Indices, Indices]:
    """Patches that are compared with each cluster, and where those of a cluster start.

    Args:
        nearness: Of each patch to each centre, larger where it is nearer, (P, K).
    """
    n_clusters = nearness.shape[1]
    count = min(N_PROBED, n_clusters)
    clusters = np.argpartition(nearness, -count, axis=1)[:, -count:].ravel()
    order = np.argsort(clusters, kind="stable")
    return order // count, np.searchsorted(clusters[order], np.arange(n_clusters + 1))


def _fit_centres(vectors: Vectors) -> Vectors:
    """Centres of k-means on a sample, (K, C)."""
    count = min(N_CLUSTERS, max(1, len(vectors) // _LEAST_SIZE))
    size = min(len(vectors), _SAMPLE * count)
    sample = vectors[np.random.default_rng(0).choice(len(vectors), size, replace=False)]
    centres = sample[:count]
    for _ in range(_N_STEPS):
        nearest = (sample @ centres.T - _half_squares(centres)).argmax(1)
        sums, sizes = np.zeros_like(centres), np.bincount(nearest, minlength=count)[:, None]
        np.add.at(sums, nearest, sample)
        centres = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres).astype(np.float32)
    return centres


def _half_squares(vectors: Vectors) -> Vectors:
    """Half of the squared length of each vector: the nearest has the largest product minus it."""
    halves: Vectors = np.square(vectors).sum(1) / 2
    return halves


@compiled
def _keep_largest(
    products: Any, patches: Any, references: Any, rows: Any, best: Any, found: Any
) -> None:
    """Keeps the largest product of each patch with each reference, and the row behind it."""
    for i in range(len(patches)):
        patch = patches[i]
        for j in range(len(rows)):
            product, reference = products[i, j], references[j]
            if product > best[patch, reference]:
                best[patch, reference] = product
                found[patch, reference] = rows[j]
