"""Patch tokens of an image, as detectors compare them."""

import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.model.tokens import Reading, Tokens
from anomalyncd.settings import DetectorSettings


def reading_of(settings: DetectorSettings) -> Reading:
    """What a detector has the backbone say of an image."""
    return Reading(settings.resolution, settings.layers, settings.layers)


def patch_features(tokens: Tokens, settings: DetectorSettings) -> list[Tensor]:
    """Unit patch tokens of one image, one tensor for each layer and neighbourhood.

    Tokens of a layer are normalised over the whole map, averaged over r x r patches (zeros
    outside), then scaled to unit length (MuSc, section 3.1).

    Args:
        tokens: As they leave the backbone, see `reading_of`.
        settings: Neighbourhoods.

    Returns:
        `len(layers) * len(neighbourhoods)` tensors, (D, rows, columns).
    """
    features = []
    with torch.inference_mode():
        for patches in tokens.patches:
            normalised = functional.layer_norm(patches, patches.shape)
            for side in settings.neighbourhoods:
                pooled = functional.avg_pool2d(normalised, side, stride=1, padding=side // 2)
                features.append(functional.normalize(pooled, dim=0))
    return features
