"""The search for the vectors that are nearest to the patches of an image."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.detection.candidates import N_CANDIDATES, principal_directions, similarities_of
from anomalyncd.detection.feature_space import NEVER, nearest, similarities

_BLOCK = 10_000


class PatchSearch:
    """Looks for those of some vectors that are nearest to patches.

    On the CPU a patch is compared with all vectors in some principal components, and in all
    coordinates with the candidates that were nearest in these. A nearer vector that is missed is
    nearly as far as the one that is found. On other devices all coordinates of all vectors are
    compared.

    Args:
        vectors: Unit vectors, (N, D), which are kept in bfloat16.
        n_components: Number of principal components. If D is larger, another
            `N * n_components * 2` bytes are taken on the CPU, from the first patches on.
    """

    def __init__(self, vectors: Tensor, n_components: int) -> None:
        self._vectors, self._n_components = vectors.to(torch.bfloat16), n_components

    def nearest_in_each(self, patches: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Finds the nearest vector in each of R references.

        One reference is compared at a time, since its vectors then stay in the cache of the CPU.

        Args:
            patches: Unit vectors of P patches, (D, rows, columns).
            lengths: Number of vectors of each reference; their sum is N.

        Returns:
            Similarities, see `similarities`, float32, and indices among all vectors, (R, P).
        """
        reduced, vectors = self._reduced(patches)
        values, indices, start = [], [], 0
        for reference in vectors.split(list(lengths)):
            value, index = nearest(similarities(reduced, reference), 1)
            values.append(value)
            indices.append(index + start)
            start += len(reference)
        index = torch.cat(indices)
        return self._exact(patches, torch.cat(values), index), index

    def nearest(self, patches: Tensor, count: int, left_out: Tensor) -> tuple[Tensor, Tensor]:
        """Finds the nearest vectors among all.

        Args:
            patches: Unit vectors of P patches, (D, rows, columns).
            count: How many vectors of each patch are wanted, at most `N_CANDIDATES`.
            left_out: Vectors that must not be found, (N,), bool.

        Returns:
            Similarities, see `similarities`, float32, and indices, (min(count, N), P), most
            similar first. Where too few vectors remain the similarity is `NEVER`.
        """
        reduced, vectors = self._reduced(patches)
        similarity = similarities(reduced, vectors)
        similarity[left_out.to(similarity.device)] = NEVER
        values, candidates = nearest(similarity, min(N_CANDIDATES, len(vectors)))
        values, places = nearest(self._exact(patches, values, candidates), min(count, len(vectors)))
        return values, candidates.gather(0, places)

    def _reduced(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Patches, (C, rows, columns), and vectors, (N, C), by which candidates are found."""
        if not _by_candidates(patches):
            return patches, self._vectors
        vectors, directions = self._components
        if directions is None:
            return patches, vectors
        reduced = directions.T @ patches.flatten(1).float()
        return reduced.to(patches.dtype).view(-1, *patches.shape[1:]), vectors

    def _exact(self, patches: Tensor, similarity: Tensor, index: Tensor) -> Tensor:
        """Similarities to the candidates, in all coordinates, (K, P)."""
        if not _by_candidates(patches):
            return similarity.float()
        inputs = patches.flatten(1).T.float().contiguous()
        exact = torch.from_numpy(similarities_of(inputs.numpy(), self._bits, index.numpy()))
        return exact.masked_fill(similarity == NEVER, NEVER)

    @property
    def _bits(self) -> NDArray[np.uint16]:
        vectors = self._vectors.cpu().contiguous()
        return vectors.view(torch.int16).numpy().view(np.uint16)

    @cached_property
    def _components(self) -> tuple[Tensor, Tensor | None]:
        """The vectors in principal components, bfloat16, and their directions, (D, C)."""
        found = principal_directions(self._bits, self._n_components)
        if found is None:
            return self._vectors.cpu(), None
        directions = torch.from_numpy(found)
        blocks = [block.float() @ directions for block in self._vectors.cpu().split(_BLOCK)]
        return torch.cat(blocks).to(torch.bfloat16), directions


def _by_candidates(patches: Tensor) -> bool:
    """Whether candidates are faster than all products in all coordinates."""
    return patches.device.type == "cpu"
