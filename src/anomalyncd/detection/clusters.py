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

    def nearest(
        self, patches: Vectors, count: int, left_out: NDArray[np.bool_] | None = None
    ) -> Indices:
        """Finds the vectors with the largest inner products in each reference.

        Args:
            patches: (P, C).
            count: How many are wanted.
            left_out: Vectors that must not be found, (N,).

        Returns:
            Rows of the vectors, largest product first, (count, R, P); -1 where the clusters have
            too few.
        """
        best = np.full((len(patches), self._n_references, count), -np.inf, np.float32)
        found = np.full(best.shape, -1, np.int32)
        queries, starts = self._probes(patches)
        for cluster in np.flatnonzero(np.diff(self._starts)):
            members = slice(self._starts[cluster], self._starts[cluster + 1])
            rows, of_cluster = self._rows[members], queries[starts[cluster] : starts[cluster + 1]]
            for some in np.array_split(of_cluster, -(-len(of_cluster) * len(rows) // _BLOCK) or 1):
                products = patches[some] @ self._vectors[members].T
                if left_out is not None:
                    products[:, left_out[rows]] = -np.inf
                _keep_largest(products, some, self._references[members], rows, best, found)
        return np.asarray(found.transpose(2, 1, 0), np.int64)

    def stand_ins(self, patches: Vectors) -> Indices:
        """Returns the vector of each reference that is nearest to the nearest centre, (R, P)."""
        nearest = (patches @ self._centres.T - _half_squares(self._centres)).argmax(1)
        return np.asarray(self._stand_ins[nearest].T, np.int64)

    def _probes(self, patches: Vectors) -> tuple[NDArray[np.int32], Indices]:
        """Patches that are compared with each cluster, and where those of a cluster start."""
        count = min(N_PROBED, len(self._centres))
        nearness = patches @ self._centres.T - _half_squares(self._centres)
        clusters = np.argpartition(nearness, -count, axis=1)[:, -count:].ravel()
        order = np.argsort(clusters, kind="stable")
        starts = np.searchsorted(clusters[order], np.arange(len(self._centres) + 1))
        return (order // count).astype(np.int32), starts


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
    """Keeps the largest products of each patch with each reference, and the rows behind them."""
    last = best.shape[2] - 1
    for i in range(len(patches)):
        patch = patches[i]
        for j in range(len(rows)):
            product, reference = products[i, j], references[j]
            if product > best[patch, reference, last]:
                place = last
                while place > 0 and product > best[patch, reference, place - 1]:
                    best[patch, reference, place] = best[patch, reference, place - 1]
                    found[patch, reference, place] = found[patch, reference, place - 1]
                    place -= 1
                best[patch, reference, place] = product
                found[patch, reference, place] = rows[j]
