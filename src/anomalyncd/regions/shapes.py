"""How large and how elongated a region is, by its mask alone."""

import cv2
import numpy as np
from numpy.typing import NDArray

N_MEASURES = 2
"""Numbers that `measure_shape` returns."""
_PIXEL = 1 / 12
"""Variance of a square of one pixel along each side."""


def measure_shape(mask: NDArray[np.bool_], n_pixels: int) -> tuple[float, float]:
    """Measures the largest component of a mask, whatever its direction.

    Args:
        mask: (h, w), bool: the mask of an image inside the box of a region.
        n_pixels: Pixels of the whole image.

    Returns:
        The logarithm of the share of the image that the component covers, and the logarithm of the
        ratio of its main axes, which is 0 for a disc or a square; two NaN for an empty mask.
    """
    if not mask.any():
        return np.nan, np.nan
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    positions = np.stack((components == 1 + areas.argmax()).nonzero())
    covariance = np.cov(positions, bias=True) + _PIXEL * np.eye(2)
    minor, major = np.linalg.eigvalsh(covariance)
    return float(np.log(areas.max() / n_pixels)), float(np.log(major / minor) / 2)
