"""The search for the vectors that are nearest to the patches of an image, without PyTorch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyncd.detection.candidates import (
    N_CANDIDATES,
    N_COMPONENTS,
    N_COMPONENTS_OF_SEVERAL,
    NEVER,
    from_bfloat16,
    principal_directions,
    similarities_of,
)
from anomalyncd.detection.clusters import Clusters, Indices, Vectors
from anomalyncd.detection.largest import largest

_BLOCK = 10_000


class ReferenceSearch:
    """Looks for the vector of each reference that is nearest to a patch.

    A patch is compared in some principal components with the vectors of those clusters whose
    centres are nearest to it, and in all coordinates with the candidate of each reference. A nearer
    vector that is missed is nearly as far as the one that is found.

    Args:
        bits: The bits of unit vectors in bfloat16, (N, D).
        lengths: Number of vectors of each of R references, one after the other. Another
            `N * (min(D, N_COMPONENTS) + 2) * 4` bytes are taken.
    """

    def __init__(self, bits: NDArray[np.uint16], lengths: Sequence[int]) -> None:
        self._bits = np.ascontiguousarray(bits)
        self._directions = principal_directions(self._bits, N_COMPONENTS)
        self._clusters = Clusters(_components(self._bits, self._directions), lengths)

    def nearest(self, patches: Vectors) -> tuple[Vectors, Indices]:
        """Finds the nearest vector in each reference.

        Where a reference has no vector in the clusters that are near a patch, it is far from it,
        and its vector that is nearest to the centre of the nearest cluster stands in.

        Args:
            patches: Unit vectors, (P, D), C-contiguous.

        Returns:
            Similarities, see `feature_space.similarities`, and indices among all vectors, (R, P).
        """
        index = self._clusters.nearest(_projected(patches, self._directions))
        return similarities_of(patches, self._bits, index), index


class BankSearch:
    """Looks for those of all vectors that are nearest to a patch.

    A patch is compared with all vectors in some principal components, and in all coordinates with
    the candidates that were nearest in these.

    Args:
        bits: The bits of unit vectors in bfloat16, (N, D). Another
            `N * min(D, N_COMPONENTS_OF_SEVERAL) * 4` bytes are taken.
    """

    def __init__(self, bits: NDArray[np.uint16]) -> None:
        self._bits = np.ascontiguousarray(bits)
        self._directions = principal_directions(self._bits, N_COMPONENTS_OF_SEVERAL)
        self._components = _components(self._bits, self._directions)

    def nearest(
        self, patches: Vectors, count: int, left_out: NDArray[np.bool_]
    ) -> tuple[Vectors, Indices]:
        """Finds the nearest vectors.

        Args:
            patches: Unit vectors, (P, D), C-contiguous.
            count: How many vectors of each patch are wanted, at most `N_CANDIDATES`.
            left_out: Vectors that must not be found, (N,).

        Returns:
            Similarities, see `feature_space.similarities`, and indices, (min(count, N), P), most
            similar first. Where too few vectors remain the similarity is `NEVER`.
        """
        products = self._components @ _projected(patches, self._directions).T
        products[left_out] = NEVER
        values, candidates = largest(products, min(N_CANDIDATES, len(products)))
        exact = similarities_of(patches, self._bits, candidates)
        exact[values == NEVER] = NEVER
        values, places = largest(exact, min(count, len(products)))
        return values, np.take_along_axis(candidates, places, 0)


def _components(bits: NDArray[np.uint16], directions: Vectors | None) -> Vectors:
    """All vectors in principal components, (N, C)."""
    starts = range(0, len(bits), _BLOCK)
    blocks = (from_bfloat16(bits[start : start + _BLOCK]) for start in starts)
    return np.concatenate([_projected(block, directions) for block in blocks])


def _projected(vectors: Vectors, directions: Vectors | None) -> Vectors:
    return vectors if directions is None else vectors @ directions
