"""Mutual scoring: images are compared with each other, without labels or normal images (MuSc)."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.frequent_kinds import (
    FrequentKinds,
    find_frequent_kinds,
    with_frequent_kinds,
)
from anomalyncd.detection.matches import Matches
from anomalyncd.detection.patch_search import PatchSearch
from anomalyncd.detection.patches import PatchExtractor, PatchFeatures, fit_patch_extractor
from anomalyncd.detection.tiles import are_own
from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.component import Component


@dataclass(frozen=True, eq=False)
class MutualScoring(Component):
    """Reference images, which images are compared with; a `Detector`."""

    extractor: PatchExtractor
    """How images are turned into patch features."""
    vectors: tuple[Tensor, ...]
    """Unit vectors of the patches of all references for each layer and neighbourhood, (N, D),
    bfloat16."""
    lengths: tuple[int, ...]
    """Number of patches of each reference, in the order of `vectors`."""
    names: tuple[str, ...]
    """Names of the references, so that no image is compared with itself."""
    closest: tuple[float, float]
    """The first and the last share of the references, closest first, that score a patch."""
    discounts: tuple[Tensor, ...] = ()
    """Reference discount, which is subtracted from the distance to each reference patch, for each
    layer and neighbourhood, (N,), float32; empty without it."""
    frequent_kinds: FrequentKinds | None = None
    """Frequent kinds of defects; None where none were found."""

    kind: ClassVar[str] = "mutual scoring"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Computes the mean distance of each patch to its nearest neighbours in the references.

        The mean is taken over the closest references, without the very closest: they may show the
        same object again, with the same defect. See `Detector.patch_scores`; MuSc, section 3.2.
        """
        matches = self.matches(features, name)
        scores = self.scores(matches, features[0].shape[1:])
        if self.frequent_kinds is None:
            return scores
        return with_frequent_kinds(scores, matches, self.frequent_kinds)

    def scores(self, matches: list[Matches], grid: torch.Size) -> Tensor:
        """Computes the scores of patches, without frequent kinds, (rows, columns), on the CPU."""
        by_layer = [of_layer.scores(self.closest).cpu() for of_layer in matches]
        return torch.stack(by_layer).mean(0).view(grid)

    def matches(self, features: list[Tensor], name: str) -> list[Matches]:
        """Finds the nearest patches in all other references, for each layer and neighbourhood.

        Args:
            features: Unit vectors of the patches, see `PatchFeatures.features`.
            name: Name of the image, which is never compared with itself.
        """
        others = [i for i, is_own in enumerate(are_own(self.names, name)) if not is_own]
        matches = []
        for layer, patches in enumerate(features):
            similarity, index = self._searches[layer].nearest_in_each(patches)
            discounts = self.discounts[layer] if self.discounts else None
            matches.append(Matches(similarity[others], index[others], discounts))
        return matches

    @cached_property
    def _searches(self) -> list[PatchSearch]:
        return [PatchSearch(layer, self.lengths) for layer in self.vectors]


def fit_mutual_scoring(
    vit: VisionTransformer, images: ImageSet, config: DetectorConfig, seed: int
) -> MutualScoring:
    """Draws the references at random and computes their vectors and reference discounts.

    Args:
        vit: The backbone, on its device and in its precision.
        images: The images to draw from.
        config: Config of the detector.
        seed: Seed of the draw.

    Returns:
        The fitted detector. For each layer and neighbourhood it takes
        `n_references * (resolution / patch)^2 * D * 2` bytes, whatever the number of images, and
        what `PatchSearch` takes.

    Raises:
        InputError: There are fewer than two images.
    """
    if len(images) < 2:
        raise InputError(
            f"{len(images)} image cannot be scored against others; give two or more, or `maps`"
        )
    count = min(config.n_references, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))
    references = images.select(chosen.tolist())
    extractor, features = fit_patch_extractor(vit, references, config)
    vectors = [of_image.vectors() for of_image in features]
    scoring = MutualScoring(
        extractor,
        tuple(torch.cat(layer).to(torch.bfloat16) for layer in zip(*vectors, strict=True)),
        tuple(len(of_image[0]) for of_image in vectors),
        references.names,
        config.closest,
    )
    matches = [
        scoring.matches(of_image.features, name)
        for of_image, name in zip(features, scoring.names, strict=True)
    ]
    scoring = replace(scoring, discounts=_discounts(scoring, matches, config.reference_discount))
    if not config.frequent_kinds:
        return scoring
    return replace(scoring, frequent_kinds=_frequent_kinds(scoring, features, matches))


def _discounts(
    scoring: MutualScoring, matches: list[list[Matches]], share: float
) -> tuple[Tensor, ...]:
    """A share of the score of each reference patch, compared with the other references."""
    if not share:
        return ()
    by_layer = zip(*matches, strict=True)
    return tuple(
        share * torch.cat([of_image.scores(scoring.closest).cpu() for of_image in layer])
        for layer in by_layer
    )


def _frequent_kinds(
    scoring: MutualScoring, features: list[PatchFeatures], matches: list[list[Matches]]
) -> FrequentKinds | None:
    """Looks for frequent kinds in the references, with the reference discounts."""
    discounts = scoring.discounts or (None,) * len(matches[0])
    discounted = [
        [
            replace(of_layer, discounts=of_patches)
            for of_layer, of_patches in zip(of_image, discounts, strict=True)
        ]
        for of_image in matches
    ]
    scores = [
        scoring.scores(of_image, one.features[0].shape[1:])
        for of_image, one in zip(discounted, features, strict=True)
    ]
    return find_frequent_kinds(scores, discounted)
