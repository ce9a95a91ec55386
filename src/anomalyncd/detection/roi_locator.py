"""Locates the region of interest: a rectangle around the foreground, aligned with it."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.detection.roi_placing import (
    Orientation,
    bounds,
    orientation,
    place_roi,
    positions,
)
from anomalyncd.foreground.principal_component import PrincipalComponent, fit_principal_component
from anomalyncd.io.component import Component

_LEAST_ELONGATION = 1.5
_SAME_ORIENTATION = 0.9
"""Length of the mean of unit vectors above which orientations are taken for the same."""
_MAX_AREA = 0.5
"""Share of the image above which a region of interest brings nothing."""


@dataclass(frozen=True, eq=False)
class RoiLocator(Component):
    """Places a rectangle around the foreground; its size relative to the image is constant."""

    foreground: PrincipalComponent
    """Separates the foreground from the background."""
    size: tuple[float, float]
    """Height and width of the rectangle, divided by the square root of the area of the image."""
    rotated: bool
    """Whether the rectangle is rotated with the foreground, so that its x axis lies along the long
    axis and the thicker end is on the right."""

    def locate(self, patches: Tensor, size: tuple[int, int]) -> RegionOfInterest:
        """Locates the region of interest in one image.

        An upright rectangle is kept inside the image. If no foreground is found, the rectangle
        lies in the middle of the image.

        Args:
            patches: Patch tokens of the whole image, (D, rows, columns).
            size: Height and width of the image, px.
        """
        return place_roi(self.foreground.mask(patches), size, self.size, self.rotated)


def fit_roi_locator(images: list[Tensor], sizes: list[tuple[int, int]]) -> RoiLocator | None:
    """Fits the size of the region of interest, and whether it is rotated with the foreground.

    The rectangle is as large as the largest foreground, plus a patch on each side. It is rotated if
    foregrounds are elongated and have different orientations.

    Args:
        images: Patch tokens of each image, (D, rows, columns).
        sizes: Height and width of each image, px.

    Returns:
        None if there is no plain background, or too little of it for a region of interest.
    """
    foreground = fit_principal_component(images)
    if foreground is None:
        return None
    located = [
        (positions(mask, size), mask.shape, size)
        for mask, size in zip(map(foreground.mask, images), sizes, strict=True)
        if mask.any()
    ]
    orientations = [orientation(points) for points, _, _ in located]
    rotated = _is_rotated(orientations)
    needed = []
    for direction, (points, grid, size) in zip(orientations, located, strict=True):
        low, high = bounds(points, direction.angle if rotated else 0.0)
        patch = max(size[0] / grid[0], size[1] / grid[1])
        needed.append((high - low + 3 * patch) / (size[0] * size[1]) ** 0.5)
    width, height = np.max(needed, axis=0)
    if height * width > _MAX_AREA:
        return None
    return RoiLocator(foreground, (float(height), float(width)), rotated)


def _is_rotated(orientations: list[Orientation]) -> bool:
    if np.median([one.elongation for one in orientations]) < _LEAST_ELONGATION:
        return False
    angles = np.array([one.angle for one in orientations])
    return bool(np.abs(np.exp(1j * angles).mean()) < _SAME_ORIENTATION)
