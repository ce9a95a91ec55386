"""Anomaly scores without a label or a normal image: parts score each other (MuSc)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.data.parts import Parts
from anomalyncd.detect.nearest import NEVER, SamePlace, distances, likeness
from anomalyncd.detect.view import View
from anomalyncd.detect.viewer import fit_view
from anomalyncd.errors import InputError
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.settings import DetectorSettings


@dataclass(frozen=True, eq=False)
class MutualScoring:
    """The reference images that parts are scored against; a `Detector`."""

    view: View
    """How pictures are looked at."""
    tensors: tuple[Tensor, ...]
    """For each layer and neighbourhood the unit vectors of all references, (N, D), bfloat16."""
    lengths: tuple[int, ...]
    """Number of patches of each reference, in the order of `tensors`."""
    names: tuple[str, ...]
    """Names of the references, so that a part is never compared with itself."""
    closest: tuple[float, float]
    """The references that a patch is judged by, closest first, from one share to another."""
    same_place: SamePlace | None = None
    """Where the patches of all references lie, if those at other places do not count."""

    kind: ClassVar[str] = "mutual scoring"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Mean distance of each patch to its nearest in the references closest to it.

        The very closest are left out: a part that was photographed twice would vouch for its own
        defect. See `Detector.patch_scores`; MuSc, section 3.2.
        """
        others = [i for i, reference in enumerate(self.names) if reference != name]
        first, last = (round(share * len(others)) for share in self.closest)
        first = min(first, len(others) - 1)
        last = max(last, first + 1)
        rows, columns = features[0].shape[1:]
        elsewhere = None
        if self.same_place is not None:
            elsewhere = ~self.same_place.near(rows, columns).to(features[0].device)
        total = torch.zeros(rows * columns)
        for tokens, references in zip(features, self.tensors, strict=True):
            similarity = likeness(tokens, references)
            nearest = self._nearest(similarity)
            if elsewhere is not None:
                here = self._nearest(similarity.masked_fill_(elsewhere, NEVER))
                nearest = torch.where(here == NEVER, nearest, here)
            closest = nearest[others].float().topk(last, dim=0).values[first:]
            total += distances(closest).mean(0).cpu()
        return (total / len(features)).view(rows, columns)

    def _nearest(self, similarity: Tensor) -> Tensor:
        """For each reference and patch the largest likeness, (references, patches)."""
        return torch.stack([part.amax(0) for part in similarity.split(self.lengths)])


def fit_mutual_scoring(
    vit: VisionTransformer, parts: Parts, settings: DetectorSettings, seed: int
) -> MutualScoring:
    """Picks the references at random and computes their tokens.

    Args:
        vit: The backbone, on its device and in its precision.
        parts: What to pick from.
        settings: Resolution, layers, neighbourhoods, number of references.
        seed: Of the choice.

    Returns:
        The references. They take `n_references * (resolution / patch)^2 * D * 2` bytes a layer and
        neighbourhood, whatever the number of parts.

    Raises:
        InputError: Fewer than two parts.
    """
    if len(parts) < 2:
        raise InputError(
            f"{len(parts)} image cannot be scored against others; give two or more, or maps"
        )
    count = min(settings.n_references, len(parts))
    chosen = np.sort(np.random.default_rng(seed).choice(len(parts), count, replace=False))
    selected = parts.select(chosen.tolist())
    view, pictures = fit_view(vit, selected, settings)
    vectors = [seen.vectors() for seen in pictures]
    same_place = None
    if settings.same_place is not None:
        positions = torch.cat([seen.positions() for seen in pictures])
        same_place = SamePlace(positions, settings.same_place)
    return MutualScoring(
        view,
        tuple(torch.cat(same_kind).to(torch.bfloat16) for same_kind in zip(*vectors, strict=True)),
        tuple(len(of_picture[0]) for of_picture in vectors),
        selected.names,
        settings.closest,
        same_place,
    )
