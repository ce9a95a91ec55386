"""The search for the vectors that are nearest to the patches of an image, without PyTorch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyncd.detection.candidates import (
    N_CANDIDATES,
    N_COMPONENTS,
    from_bfloat16,
    principal_directions,
    similarities_of,
)
from anomalyncd.detection.clusters import Clusters, Indices, Vectors
from anomalyncd.detection.largest import largest

NEVER = -3.0
"""See `detection.feature_space`."""
_BLOCK = 10_000


class ArraySearch:
    """Looks for those of some vectors that are nearest to patches.

    A patch is compared in some principal components with the vectors of those clusters whose
    centres are nearest to it, and in all coordinates with the candidates that were nearest in
    these. A nearer vector that is missed is nearly as far as the one that is found.

    Args:
        bits: The bits of unit vectors in bfloat16, (N, D).
        lengths: Number of vectors of each of R references, one after the other; without it all are
            of one. Another `N * (min(D, N_COMPONENTS) + 2) * 4` bytes are taken.
    """

    def __init__(self, bits: NDArray[np.uint16], lengths: Sequence[int] | None = None) -> None:
        self._bits = np.ascontiguousarray(bits)
        self._directions = principal_directions(self._bits, N_COMPONENTS)
        starts = range(0, len(bits), _BLOCK)
        blocks = [from_bfloat16(self._bits[start : start + _BLOCK]) for start in starts]
        components = np.concatenate([self._in_components(block) for block in blocks])
        self._clusters = Clusters(components, lengths or (len(bits),))

    def nearest_in_each(self, patches: Vectors) -> tuple[Vectors, Indices]:
        """Finds the nearest vector in each reference.

        Where a reference has no vector in the clusters that are near a patch, it is far from it,
        and its vector that is nearest to the centre of the nearest cluster stands in.

        Args:
            patches: Unit vectors, (P, D), C-contiguous.

        Returns:
            Similarities, see `feature_space.similarities`, and indices among all vectors, (R, P).
        """
        inputs = self._in_components(patches)
        index = self._clusters.nearest(inputs, 1)[0]
        index = np.where(index < 0, self._clusters.stand_ins(inputs), index)
        return similarities_of(patches, self._bits, index), index

    def nearest(
        self, patches: Vectors, count: int, left_out: NDArray[np.bool_]
    ) -> tuple[Vectors, Indices]:
        """Finds the nearest vectors among all, which are of one reference.

        Args:
            patches: Unit vectors, (P, D), C-contiguous.
            count: How many vectors of each patch are wanted, at most `N_CANDIDATES`.
            left_out: Vectors that must not be found, (N,).

        Returns:
            Similarities, see `feature_space.similarities`, and indices, (min(count, N), P), most
            similar first. Where too few vectors remain the similarity is `NEVER`.
        """
        count, n_allowed = min(count, len(left_out)), np.count_nonzero(~left_out)
        inputs = self._in_components(patches)
        index = self._clusters.nearest(inputs, N_CANDIDATES, left_out)[:, 0]
        values, index = self._most_similar(patches, index, count)
        lacking = np.flatnonzero((values > NEVER).sum(0) < min(count, n_allowed))
        if len(lacking):
            # The clusters that are near these patches hold hardly anything but what is left out.
            allowed = np.flatnonzero(~left_out)
            every = np.repeat(allowed[:, None], len(lacking), axis=1)
            found = self._most_similar(patches[lacking], every, count)
            values[:, lacking], index[:, lacking] = found
        return values, index

    def _most_similar(
        self, patches: Vectors, index: Indices, count: int
    ) -> tuple[Vectors, Indices]:
        """The most similar of some vectors, (count, P); negative indices are none."""
        missing = np.full((max(0, count - len(index)), len(patches)), -1)
        index = np.concatenate([index, missing])
        similarity = similarities_of(patches, self._bits, np.maximum(index, 0))
        similarity[index < 0] = NEVER
        bits, places = largest(similarity.view(np.int32), count)
        index = np.maximum(np.take_along_axis(index, places, 0), 0)
        return bits.view(np.float32), index

    def _in_components(self, vectors: Vectors) -> Vectors:
        return vectors if self._directions is None else vectors @ self._directions
