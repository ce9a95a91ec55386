"""The search for the vectors that are nearest to the patches of an image, without PyTorch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyncd.detection.candidates import (
    N_CANDIDATES,
    from_bfloat16,
    principal_directions,
    similarities_of,
)
from anomalyncd.detection.largest import largest

NEVER = -3.0
"""See `detection.feature_space`."""
_BLOCK = 10_000
Vectors = NDArray[np.float32]
Indices = NDArray[np.int64]


class ArraySearch:
    """Finds what `detection.patch_search.PatchSearch` finds on the CPU.

    Args:
        bits: The bits of unit vectors in bfloat16, (N, D).
        n_components: Number of principal components, which take `N * min(D, n_components) * 4`
            bytes.
    """

    def __init__(self, bits: NDArray[np.uint16], n_components: int) -> None:
        self._bits = np.ascontiguousarray(bits)
        self._directions = principal_directions(self._bits, n_components)
        starts = range(0, len(bits), _BLOCK)
        blocks = [from_bfloat16(self._bits[start : start + _BLOCK]) for start in starts]
        self._components = np.concatenate([self._in_components(block) for block in blocks])

    def nearest_in_each(self, patches: Vectors, lengths: Sequence[int]) -> tuple[Vectors, Indices]:
        """See `PatchSearch.nearest_in_each`; patches (P, D)."""
        inputs = self._in_components(patches).T
        found, start = [], 0
        for length in lengths:
            products = self._components[start : start + length] @ inputs
            found.append(_nearest(products, 1)[1] + np.int64(start))
            start += length
        index = np.concatenate(found)
        return self._exact(patches, index), index

    def nearest(
        self, patches: Vectors, count: int, left_out: NDArray[np.bool_]
    ) -> tuple[Vectors, Indices]:
        """See `PatchSearch.nearest`; patches (P, D)."""
        products = self._components @ self._in_components(patches).T
        products[left_out] = NEVER
        values, candidates = _nearest(products, min(N_CANDIDATES, len(products)))
        exact = np.where(values == NEVER, np.float32(NEVER), self._exact(patches, candidates))
        values, places = _nearest(exact, min(count, len(products)))
        return values, np.take_along_axis(candidates, places, 0)

    def _in_components(self, vectors: Vectors) -> Vectors:
        return vectors if self._directions is None else vectors @ self._directions

    def _exact(self, patches: Vectors, index: Indices) -> Vectors:
        return similarities_of(np.ascontiguousarray(patches), self._bits, index)


def _nearest(similarity: Vectors, count: int) -> tuple[Vectors, Indices]:
    """See `detection.feature_space.nearest`."""
    bits, rows = largest(similarity.view(np.int32), count)
    return bits.view(np.float32), rows.astype(np.int64)
