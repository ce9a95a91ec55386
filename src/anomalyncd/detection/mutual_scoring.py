"""Anomaly scores without a label or a normal image: images score each other (MuSc)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import (
    NEVER,
    SamePlace,
    distances,
    likeness,
)
from anomalyncd.detection.patches import PatchExtractor, PatchFeatures, fit_view
from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet


@dataclass(frozen=True, eq=False)
class MutualScoring:
    """The reference images that parts are scored against; a `Detector`."""

    view: PatchExtractor
    """How pictures are looked at."""
    tensors: tuple[Tensor, ...]
    """For each layer and neighbourhood the unit vectors of all references, (N, D), bfloat16."""
    lengths: tuple[int, ...]
    """Number of patches of each reference, in the order of `tensors`."""
    names: tuple[str, ...]
    """Names of the references, so that a image is never compared with itself."""
    closest: tuple[float, float]
    """The references that a patch is judged by, closest first, from one share to another."""
    same_place: SamePlace | None = None
    """Where the patches of all references lie, if those at other places do not count."""
    discounts: tuple[Tensor, ...] = ()
    """For each layer and neighbourhood what is taken off the distance to each patch, (N,), float32;
    none without tolerance."""

    kind: ClassVar[str] = "mutual scoring"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Mean distance of each patch to its nearest in the references closest to it.

        The very closest are left out: a image that was photographed twice would vouch for its own
        defect. See `Detector.patch_scores`; MuSc, section 3.2.
        """
        return torch.stack(self._scores_by_kind(features, name)).mean(0)

    def _scores_by_kind(self, features: list[Tensor], name: str) -> list[Tensor]:
        """For each layer and neighbourhood the scores of the patches, (rows, columns)."""
        others = [i for i, reference in enumerate(self.names) if reference != name]
        first, last = (round(share * len(others)) for share in self.closest)
        first = min(first, len(others) - 1)
        last = max(last, first + 1)
        rows, columns = features[0].shape[1:]
        scores = []
        for kind, tokens in enumerate(features):
            nearest, index = self._nearest(kind, tokens)
            closest = nearest[others].float().topk(last, dim=0)
            apart = distances(closest.values[first:])
            if self.discounts:
                matched = index[others].gather(0, closest.indices[first:])
                apart = apart - self.discounts[kind].to(apart.device)[matched]
            scores.append(apart.mean(0).clamp(min=0).cpu().view(rows, columns))
        return scores

    def _nearest(self, kind: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """For each reference and patch the largest likeness, and where it is, (references, P).

        One reference at a time, since what is compared then stays in the processor's cache.
        """
        references = self.tensors[kind].split(self.lengths)
        elsewhere: Sequence[Tensor | None] = [None] * len(references)
        if self.same_place is not None:
            near = self.same_place.near(*tokens.shape[1:]).to(tokens.device)
            elsewhere = (~near).split(self.lengths)
        nearest, indices, start = [], [], 0
        for reference, hidden in zip(references, elsewhere, strict=True):
            similarity = likeness(tokens, reference)
            likest, index = similarity.max(0)
            if hidden is not None:
                here, index_here = similarity.masked_fill_(hidden, NEVER).max(0)
                index = torch.where(here == NEVER, index, index_here)
                likest = torch.where(here == NEVER, likest, here)
            nearest.append(likest)
            indices.append(index + start)
            start += len(reference)
        return torch.stack(nearest), torch.stack(indices)


def fit_mutual_scoring(
    vit: VisionTransformer, images: ImageSet, config: DetectorConfig, seed: int
) -> MutualScoring:
    """Picks the references at random and computes their tokens.

    Args:
        vit: The backbone, on its device and in its precision.
        images: What to pick from.
        config: Resolution, layers, neighbourhoods, number of references.
        seed: Of the choice.

    Returns:
        The references, with what they allow for. They take
        `n_references * (resolution / patch)^2 * D * 2` bytes a layer and neighbourhood, whatever
        the number of images.

    Raises:
        InputError: Fewer than two images.
    """
    if len(images) < 2:
        raise InputError(
            f"{len(images)} image cannot be scored against others; give two or more, or maps"
        )
    count = min(config.n_references, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))
    selected = images.select(chosen.tolist())
    view, pictures = fit_view(vit, selected, config)
    vectors = [seen.vectors() for seen in pictures]
    same_place = None
    if config.same_place is not None:
        positions = torch.cat([seen.positions() for seen in pictures])
        same_place = SamePlace(positions, config.same_place)
    scoring = MutualScoring(
        view,
        tuple(torch.cat(same_kind).to(torch.bfloat16) for same_kind in zip(*vectors, strict=True)),
        tuple(len(of_picture[0]) for of_picture in vectors),
        selected.names,
        config.closest,
        same_place,
    )
    return replace(scoring, discounts=_allowances(scoring, pictures, config.reference_discount))


def _allowances(
    scoring: MutualScoring, pictures: list[PatchFeatures], reference_discount: float
) -> tuple[Tensor, ...]:
    """A share of the score that each patch of the references has among the others."""
    if not reference_discount:
        return ()
    scored = [
        [seen.unmasked(one) for one in scoring._scores_by_kind(seen.features, name)]
        for seen, name in zip(pictures, scoring.names, strict=True)
    ]
    return tuple(
        reference_discount * torch.cat(same_kind) for same_kind in zip(*scored, strict=True)
    )
