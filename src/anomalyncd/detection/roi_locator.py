"""Locates the region of interest: a rectangle around the foreground, aligned with it."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.roi import RegionOfInterest
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
        mask = self.foreground.mask(patches)
        side = (size[0] * size[1]) ** 0.5
        height, width = (max(1, ceil(side * share)) for share in self.size)
        if not mask.any():
            return RegionOfInterest((size[1] / 2, size[0] / 2), (height, width))
        points = _positions(mask, size)
        angle = _orientation(points).angle if self.rotated else 0.0
        low, high = _box(points, angle)
        centre = _rotate((low + high) / 2, angle)
        if not self.rotated:
            centre = np.array(
                [
                    _inside(float(centre[0]), width, size[1]),
                    _inside(float(centre[1]), height, size[0]),
                ]
            )
        return RegionOfInterest((float(centre[0]), float(centre[1])), (height, width), angle)


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
        (_positions(mask, size), mask.shape, size)
        for mask, size in zip(map(foreground.mask, images), sizes, strict=True)
        if mask.any()
    ]
    orientations = [_orientation(points) for points, _, _ in located]
    rotated = _is_rotated(orientations)
    needed = []
    for orientation, (points, grid, size) in zip(orientations, located, strict=True):
        low, high = _box(points, orientation.angle if rotated else 0.0)
        patch = max(size[0] / grid[0], size[1] / grid[1])
        needed.append((high - low + 3 * patch) / (size[0] * size[1]) ** 0.5)
    width, height = np.max(needed, axis=0)
    if height * width > _MAX_AREA:
        return None
    return RoiLocator(foreground, (float(height), float(width)), rotated)


@dataclass(frozen=True)
class _Orientation:
    angle: float
    """Angle of the long axis, from the thin end to the thick one, in radians."""
    elongation: float
    """Ratio of the standard deviations along the long and the short axis."""


def _orientation(points: NDArray[np.float64]) -> _Orientation:
    centred = points - points.mean(0)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(centred.T, bias=True)))
    axis = axes[:, 1]
    if np.mean((centred @ axis) ** 3) > 0:
        # Positive skewness: the long tail, which is the thin end, is on this side.
        axis = -axis
    elongation = float((max(variances[1], 1e-9) / max(variances[0], 1e-9)) ** 0.5)
    return _Orientation(float(np.arctan2(axis[1], axis[0])), elongation)


def _is_rotated(orientations: list[_Orientation]) -> bool:
    if np.median([orientation.elongation for orientation in orientations]) < _LEAST_ELONGATION:
        return False
    angles = np.array([orientation.angle for orientation in orientations])
    return bool(np.abs(np.exp(1j * angles).mean()) < _SAME_ORIENTATION)


def _positions(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float64]:
    """x and y of the centres of the marked patches, (N, 2), px of the image."""
    rows, columns = mask.nonzero()
    return np.column_stack(
        [(columns + 0.5) * size[1] / mask.shape[1], (rows + 0.5) * size[0] / mask.shape[0]]
    )


def _box(
    points: NDArray[np.float64], angle: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest coordinates of points along axes rotated by an angle."""
    rotated = _rotate(points, -angle)
    return rotated.min(0), rotated.max(0)


def _rotate(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    rotated: NDArray[np.float64] = points @ np.array([[cos, sin], [-sin, cos]])
    return rotated


def _inside(centre: float, length: int, available: int) -> float:
    """Shifts a centre so that an interval of this length lies inside 0..available."""
    if length >= available:
        return available / 2
    return min(max(centre, length / 2), available - length / 2)
