"""Patch tokens of an image, as detectors compare them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.model.pixels import normalise, resize, to_tensor
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.settings import DetectorSettings


def patch_features(
    vit: VisionTransformer, image: NDArray[np.uint8], settings: DetectorSettings
) -> list[Tensor]:
    """Unit patch tokens of one image, one tensor for each layer and neighbourhood.

    Tokens of a layer are normalised over the whole map, averaged over r x r patches (zeros
    outside), then scaled to unit length (MuSc, section 3.1).

    Args:
        vit: The backbone, on its device and in its precision.
        image: RGB, (H, W, 3), uint8; its aspect ratio is kept.
        settings: Resolution, layers and neighbourhoods.

    Returns:
        `len(layers) * len(neighbourhoods)` tensors, (D, rows, columns).
    """
    height, width = area_sides(image, settings.resolution, vit.config.patch_size)
    weight = vit.patch_embed.proj.weight
    pixels = normalise(to_tensor(resize(image, height, width)[None]))
    features = []
    with torch.inference_mode():
        maps = vit.patch_maps(pixels.to(weight.device, weight.dtype), settings.layers)
        for tokens in maps:
            normalised = functional.layer_norm(tokens, tokens.shape[1:])
            for side in settings.neighbourhoods:
                pooled = functional.avg_pool2d(normalised, side, stride=1, padding=side // 2)
                features.append(functional.normalize(pooled[0], dim=0))
    return features


def area_sides(image: NDArray[np.uint8], side: int, unit: int) -> tuple[int, int]:
    """Height and width of the area of a square, in whole units, the aspect ratio kept."""
    scale = side / (image.shape[0] * image.shape[1]) ** 0.5 / unit
    height, width = (max(1, round(length * scale)) * unit for length in image.shape[:2])
    return height, width
