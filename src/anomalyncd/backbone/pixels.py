"""Pixels as the backbones expect them."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.config import DetectorConfig

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resizes an image (H, W, 3): averaged where it shrinks, cubic where it grows."""
    shrinks = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method))


def area_sides(size: tuple[int, int], side: int, unit: int) -> tuple[int, int]:
    """Height and width of the area of a square, in whole units, the aspect ratio kept.

    Args:
        size: Height and width that the ratio is taken from.
        side: Of the square.
        unit: What both are multiples of.
    """
    scale = side / (size[0] * size[1]) ** 0.5 / unit
    height, width = (max(1, round(length * scale)) * unit for length in size)
    return height, width


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Colours 0..1, (B, 3, H, W), float32, of images (B, H, W, 3)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def normalise(images: Tensor) -> Tensor:
    """Centres and scales colours 0..1, (B, 3, H, W), by ImageNet's mean and deviation."""
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


_WHOLE, _FRAMED, _LARGEST = 336, 504, 672
_PIXELS_PER_PATCH = 24


def chosen_resolution(config: DetectorConfig, area: float, patch_size: int, framed: bool) -> int:
    """The resolution that is set, or what goes with what is looked at.

    Args:
        config: Of the detector.
        area: Of what is looked at, mean over some pictures, in pixels of the photographs.
        patch_size: Side of a patch of the backbone, px.
        framed: Whether the product is cut out of the pictures.

    Returns:
        Side of a square, px. Where none is set, a patch covers at most 24 px of the photographs, as
        far as 672 px allow.
    """
    if config.resolution is not None:
        return config.resolution
    wanted = int(area**0.5 / _PIXELS_PER_PATCH) * patch_size
    return min(max(wanted, least_resolution(config, framed)), _LARGEST)


def least_resolution(config: DetectorConfig, framed: bool) -> int:
    """The resolution that is set, or the one of the smallest pictures; see `chosen_resolution`."""
    return config.resolution or (_FRAMED if framed else _WHOLE)
