"""Anomaly scores from normal images: distance to the nearest normal patch (PatchCore)."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from anomalyncd.detect.nearest import NEVER, SamePlace, distances, likeness
from anomalyncd.detect.view import View

_BLOCK = 1000
_N_NEAREST = 5


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Patches that stand for all that is normal; a `Detector`."""

    view: View
    """How pictures are looked at."""
    tensors: tuple[Tensor, ...]
    """For each layer and neighbourhood the unit vectors of the same patches, (M, D), bfloat16."""
    names: tuple[str, ...]
    """For each patch the image that it comes from, so that none is compared with itself."""
    same_place: SamePlace | None = None
    """Where the patches lie, if those at other places do not count."""
    reweight: int = 0
    """Number of its nearest relatives that say how rare a normal patch is; 0 does not ask."""
    allowances: tuple[Tensor, ...] = ()
    """For each layer and neighbourhood what is taken off the distance to each patch, (M,), float32;
    none without tolerance."""

    kind: ClassVar[str] = "memory bank"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Distance of each patch to the nearest normal one; see `Detector.patch_scores`.

        Of the few nearest that one counts which, with its allowance, comes nearest.

        With `reweight` it is multiplied by `1 - exp(d*) / sum(exp(d))`, where d are the distances
        to the nearest normal patch (d*) and its relatives: PatchCore, eq. 7, for every patch in
        place of the highest alone. Patches of the image itself count as being as far as d*.
        """
        rows, columns = features[0].shape[1:]
        device = features[0].device
        own = torch.tensor([owner == name for owner in self.names]).to(device)
        elsewhere = None
        if self.same_place is not None:
            elsewhere = ~self.same_place.near(rows, columns).to(device)
        total = torch.zeros(rows * columns)
        for kind, (tokens, bank) in enumerate(zip(features, self.tensors, strict=True)):
            similarity = likeness(tokens, bank)
            similarity[own] = NEVER
            nearest, index = self._nearest(kind, similarity)
            if elsewhere is not None:
                here, index_here = self._nearest(kind, similarity.masked_fill(elsewhere, NEVER))
                index = torch.where(here == NEVER, index, index_here)
                nearest = torch.where(here == NEVER, nearest, here)
            scores = distances(nearest)
            if self.allowances:
                scores = (scores - self.allowances[kind].to(device)[index]).clamp(min=0)
            if self._relatives:
                relatives = self._relatives[kind].to(device)[index].T
                apart = similarity.gather(0, relatives)
                apart = torch.where(apart == NEVER, nearest, apart)
                scores *= 1 - 1 / (distances(apart) - scores).exp().sum(0)
            total += scores.cpu()
        return (total / len(features)).view(rows, columns)

    def _nearest(self, kind: int, similarity: Tensor) -> tuple[Tensor, Tensor]:
        """Likeness and index of the bank's patch that each of P patches is held against, (P,)."""
        if not self.allowances:
            nearest, index = similarity.max(0)
            return nearest, index
        close = similarity.topk(min(_N_NEAREST, len(similarity)), dim=0)
        allowed = self.allowances[kind].to(similarity.device)[close.indices]
        apart = distances(close.values) - allowed.masked_fill(close.values == NEVER, 0)
        best = apart.argmin(0, keepdim=True)
        return close.values.gather(0, best)[0], close.indices.gather(0, best)[0]

    @cached_property
    def _relatives(self) -> tuple[Tensor, ...]:
        """For each layer and neighbourhood the nearest patches of each, itself first, (M, b)."""
        count = min(self.reweight, len(self.names))
        if count < 2:
            return ()
        return tuple(
            torch.cat([(block @ one.T).topk(count).indices for block in one.split(_BLOCK)])
            for one in (tokens.float() for tokens in self.tensors)
        )
