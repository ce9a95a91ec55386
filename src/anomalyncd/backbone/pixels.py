"""Images as the backbone expects them, and the resolution at which they enter it."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import DetectorConfig

if TYPE_CHECKING:
    from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

_LEAST, _LEAST_CUT_OUT = 336, 504
LARGEST = 672
"""Highest resolution that is chosen, px."""
_PIXELS_PER_PATCH = 24


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resizes an image (H, W, 3): averaged where it shrinks, cubic where it grows."""
    shrinks = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method))


def area_sides(size: tuple[int, int], side: int, unit: int) -> tuple[int, int]:
    """Height and width of a rectangle with the area of a square and a given aspect ratio.

    Args:
        size: Height and width that have this aspect ratio.
        side: Side of the square.
        unit: Height and width are rounded to multiples of it.
    """
    scale = side / (size[0] * size[1]) ** 0.5 / unit
    height, width = (max(1, round(length * scale)) * unit for length in size)
    return height, width


def to_tensor(images: NDArray[np.uint8]) -> "Tensor":
    """Converts images (B, H, W, 3), uint8, to colours 0..1, (B, 3, H, W), float32."""
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def normalise(images: "Tensor") -> "Tensor":
    """Normalises colours 0..1, (B, 3, H, W), by the mean and standard deviation of ImageNet."""
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


def chosen_resolution(
    config: DetectorConfig, area: float, patch_size: int, is_cut_out: bool
) -> int:
    """Returns the resolution of the config, or one that suits the images where it sets none.

    Args:
        config: Config of the detector.
        area: Mean area of the regions of interest of some images, px².
        patch_size: Side of a patch of the backbone, px.
        is_cut_out: Whether the regions of interest are cut out of the images.

    Returns:
        Side of a square, px. Where the config sets none, a patch covers at most 24 pixels of the
        image, as far as 672 pixels allow.
    """
    if config.resolution is not None:
        return config.resolution
    side = int(area**0.5 / _PIXELS_PER_PATCH) * patch_size
    return min(max(side, least_resolution(config, is_cut_out)), LARGEST)


def least_resolution(config: DetectorConfig, is_cut_out: bool) -> int:
    """Returns the resolution of the config, or the smallest that suits any image."""
    return config.resolution or (_LEAST_CUT_OUT if is_cut_out else _LEAST)
