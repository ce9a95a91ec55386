"""Mutual scoring: images are compared with each other, without labels or normal images (MuSc)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import distances, similarities
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

    kind: ClassVar[str] = "mutual scoring"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Computes the mean distance of each patch to its nearest neighbours in the references.

        The mean is taken over the closest references, without the very closest: they may show the
        same object again, with the same defect. See `Detector.patch_scores`; MuSc, section 3.2.
        """
        return torch.stack(self.scores_by_layer(features, name)).mean(0)

    def scores_by_layer(self, features: list[Tensor], name: str) -> list[Tensor]:
        """Computes the scores of the patches for each layer and neighbourhood, (rows, columns)."""
        others = [i for i, is_own in enumerate(are_own(self.names, name)) if not is_own]
        first, last = (round(share * len(others)) for share in self.closest)
        first = min(first, len(others) - 1)
        last = max(last, first + 1)
        rows, columns = features[0].shape[1:]
        scores = []
        for layer, patches in enumerate(features):
            nearest, index = self._nearest(layer, patches)
            closest = nearest[others].float().topk(last, dim=0)
            distance = distances(closest.values[first:])
            if self.discounts:
                matched = index[others].gather(0, closest.indices[first:])
                distance = distance - self.discounts[layer].to(distance.device)[matched]
            scores.append(distance.mean(0).clamp(min=0).cpu().view(rows, columns))
        return scores

    def _nearest(self, layer: int, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Largest similarity of each patch to each reference, and its index, (references, P).

        One reference is compared at a time, since its vectors then stay in the cache of the CPU.
        """
        nearest, indices, start = [], [], 0
        for reference in self.vectors[layer].split(self.lengths):
            similarity, index = similarities(patches, reference).max(0)
            nearest.append(similarity)
            indices.append(index + start)
            start += len(reference)
        return torch.stack(nearest), torch.stack(indices)


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
        `n_references * (resolution / patch)^2 * D * 2` bytes, whatever the number of images.

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
    return replace(scoring, discounts=_discounts(scoring, features, config.reference_discount))


def _discounts(
    scoring: MutualScoring, features: list[PatchFeatures], share: float
) -> tuple[Tensor, ...]:
    """A share of the score of each reference patch, compared with the other references."""
    if not share:
        return ()
    scored = [
        [scores.flatten() for scores in scoring.scores_by_layer(of_image.features, name)]
        for of_image, name in zip(features, scoring.names, strict=True)
    ]
    return tuple(share * torch.cat(layer) for layer in zip(*scored, strict=True))
