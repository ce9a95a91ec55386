"""Nearest vectors: candidates in a few principal components, compared in all coordinates.

Finding a candidate costs in proportion to the number of components; comparing it in all
coordinates costs next to nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.runtime.compilation import compiled_with_sums

NEVER = -3.0
"""Similarity of vectors that must not be compared; it is below all others."""
N_COMPONENTS = 128
"""Principal components in which the only candidate of a patch in a reference is looked for; see
docs/decisions/nearest-patches.md."""
N_CANDIDATES = 16
"""Candidates of a patch where several nearest vectors are wanted among all."""
N_COMPONENTS_OF_SEVERAL = 96
"""Principal components in which these are looked for: the nearest vector need not come first."""
_ENOUGH = 20_000
"""Number of vectors from which principal directions are computed, evenly spread."""


def principal_directions(bits: NDArray[np.uint16], count: int) -> NDArray[np.float32] | None:
    """Finds the directions that keep the inner products of vectors best: no mean is subtracted.

    Args:
        bits: The bits of vectors in bfloat16, (N, D).
        count: How many directions are wanted.

    Returns:
        Orthonormal directions, (D, count); None if D is not larger, so that all coordinates are as
        cheap.
    """
    if bits.shape[1] <= count:
        return None
    sample = from_bfloat16(bits[:: -(-len(bits) // _ENOUGH)])
    directions = np.linalg.eigh((sample.T @ sample).astype(np.float64)).eigenvectors
    return np.ascontiguousarray(directions[:, : -count - 1 : -1], np.float32)


def similarities_of(
    patches: NDArray[np.float32], bits: NDArray[np.uint16], rows: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """Computes the similarities of patches to their candidates, see `feature_space.similarities`.

    Args:
        patches: Unit vectors, (P, D), C-contiguous.
        bits: The bits of unit vectors in bfloat16, (N, D), C-contiguous.
        rows: Rows of the candidates of each patch among these, (K, P).

    Returns:
        (K, P).
    """
    similarities = np.empty(rows.shape, np.float32)
    _fill_similarities(patches, bits, rows, similarities)
    return similarities


@compiled_with_sums
def _fill_similarities(patches: Any, bits: Any, rows: Any, similarities: Any) -> None:
    n_candidates, n_patches = rows.shape
    for patch in range(n_patches):
        for candidate in range(n_candidates):
            row = rows[candidate, patch]
            cosine = np.float32(0)
            for index in range(patches.shape[1]):
                number = np.uint32(np.uint32(bits[row, index]) << np.uint32(16)).view(np.float32)
                cosine += patches[patch, index] * number
            similarities[candidate, patch] = cosine - np.float32(1)


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Returns the numbers whose bits are given, since NumPy has no bfloat16."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
