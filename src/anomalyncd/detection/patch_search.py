"""The search for the vectors that are nearest to the patches of an image."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.detection.array_search import BankSearch, ReferenceSearch
from anomalyncd.detection.candidates import NEVER
from anomalyncd.detection.clusters import Vectors
from anomalyncd.detection.feature_space import similarities


class PatchSearch:
    """Looks for those of some vectors that are nearest to patches.

    On the CPU as `ReferenceSearch` and `BankSearch` do. On other devices all coordinates of all
    vectors are compared.

    Args:
        vectors: Unit vectors, (N, D), which are kept in bfloat16.
        lengths: Number of vectors of each of R references, one after the other; empty where
            references do not matter.
    """

    def __init__(self, vectors: Tensor, lengths: Sequence[int] = ()) -> None:
        self._vectors, self._lengths = vectors.to(torch.bfloat16), lengths

    def nearest_in_each(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Finds the nearest vector in each reference.

        Args:
            patches: Unit vectors of P patches, (D, rows, columns).

        Returns:
            Similarities, see `similarities`, float32, and indices among all vectors, (R, P).
        """
        if _by_candidates(patches):
            values, index = self._reference_search.nearest(_array(patches))
            return torch.from_numpy(values), torch.from_numpy(index)
        similarity, rows, start = [], [], 0
        for reference in self._vectors.split(list(self._lengths)):
            most_similar, row = similarities(patches, reference).topk(1, dim=0)
            similarity.append(most_similar.float())
            rows.append(row + start)
            start += len(reference)
        return torch.cat(similarity), torch.cat(rows)

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
        if _by_candidates(patches):
            found = self._bank_search.nearest(_array(patches), count, left_out.numpy())
            return torch.from_numpy(found[0]), torch.from_numpy(found[1])
        similarity = similarities(patches, self._vectors)
        similarity[left_out.to(similarity.device)] = NEVER
        values, index = similarity.topk(min(count, len(self._vectors)), dim=0)
        return values.float(), index

    @cached_property
    def _reference_search(self) -> ReferenceSearch:
        return ReferenceSearch(self._bits, self._lengths)

    @cached_property
    def _bank_search(self) -> BankSearch:
        return BankSearch(self._bits)

    @property
    def _bits(self) -> NDArray[np.uint16]:
        vectors = self._vectors.cpu().contiguous()
        return vectors.view(torch.int16).numpy().view(np.uint16)


def _by_candidates(patches: Tensor) -> bool:
    """Whether candidates are faster than all products in all coordinates."""
    return patches.device.type == "cpu"


def _array(patches: Tensor) -> Vectors:
    """Patches as rows, (P, D), float32."""
    return patches.flatten(1).T.float().contiguous().numpy()
