"""The region of interest of each image: the product, in one size and one orientation."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.foreground.principal_component import PrincipalComponent, fit_principal_component
from anomalyncd.io.component import Component

_LEAST_ELONGATION = 1.5
_SAME_POSE = 0.9
_WORTH_IT = 0.5


@dataclass(frozen=True, eq=False)
class RoiLocator(Component):
    """Puts a rectangle of one size around the product."""

    foreground: PrincipalComponent
    """Separates the product from the background."""
    size: tuple[float, float]
    """Height and width of the rectangle, as shares of the square root of the image's area."""
    rotated: bool
    """Whether it is rotated with the product: its long side along x, its heavy end to the right."""

    def locate(self, patches: Tensor, size: tuple[int, int]) -> RegionOfInterest:
        """Locates the rectangle in one image.

        Args:
            patches: Tokens (D, rows, columns) of the whole image.
            size: Height and width of the image, px.
        """
        mask = self.foreground.mask(patches)
        side = (size[0] * size[1]) ** 0.5
        height, width = (max(1, ceil(side * share)) for share in self.size)
        if not mask.any():
            return RegionOfInterest((size[1] / 2, size[0] / 2), (height, width))
        points = _positions(mask, size)
        angle = _pose(points).angle if self.rotated else 0.0
        low, high = _box(points, angle)
        centre = _turn((low + high) / 2, angle)
        if not self.rotated:
            centre = np.array(
                [
                    _inside(float(centre[0]), width, size[1]),
                    _inside(float(centre[1]), height, size[0]),
                ]
            )
        return RegionOfInterest((float(centre[0]), float(centre[1])), (height, width), angle)


def fit_roi_locator(images: list[Tensor], sizes: list[tuple[int, int]]) -> RoiLocator | None:
    """Learns the size of the region of interest, and whether it is rotated with the product.

    The rectangle is as large as the largest product needs, plus a patch on each side. It is rotated
    where products are elongated and have different orientations.

    Args:
        images: Tokens of each image, (D, rows, columns).
        sizes: Height and width of each image, px.

    Returns:
        None where whole images are best: no background is found, or too little of it.
    """
    foreground = fit_principal_component(images)
    if foreground is None:
        return None
    located = [
        (_positions(mask, size), mask.shape, size)
        for mask, size in zip(map(foreground.mask, images), sizes, strict=True)
        if mask.any()
    ]
    poses = [_pose(points) for points, _, _ in located]
    rotated = _is_rotated(poses)
    needed = []
    for pose, (points, grid, size) in zip(poses, located, strict=True):
        low, high = _box(points, pose.angle if rotated else 0.0)
        patch = max(size[0] / grid[0], size[1] / grid[1])
        needed.append((high - low + 3 * patch) / (size[0] * size[1]) ** 0.5)
    width, height = np.max(needed, axis=0)
    if height * width > _WORTH_IT:
        return None
    return RoiLocator(foreground, (float(height), float(width)), rotated)


@dataclass(frozen=True)
class _Pose:
    angle: float
    """Of the long axis, from the light end to the heavy one, in radians."""
    elongation: float
    """Length over width."""


def _pose(points: NDArray[np.float64]) -> _Pose:
    centred = points - points.mean(0)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(centred.T, bias=True)))
    axis = axes[:, 1]
    if np.mean((centred @ axis) ** 3) > 0:
        # The tail is long where there is little.
        axis = -axis
    elongation = float((max(variances[1], 1e-9) / max(variances[0], 1e-9)) ** 0.5)
    return _Pose(float(np.arctan2(axis[1], axis[0])), elongation)


def _is_rotated(poses: list[_Pose]) -> bool:
    if np.median([pose.elongation for pose in poses]) < _LEAST_ELONGATION:
        return False
    angles = np.array([pose.angle for pose in poses])
    return bool(np.abs(np.exp(1j * angles).mean()) < _SAME_POSE)


def _positions(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float64]:
    """x and y of the middles of the marked patches, (N, 2), px of the image."""
    rows, columns = mask.nonzero()
    return np.column_stack(
        [(columns + 0.5) * size[1] / mask.shape[1], (rows + 0.5) * size[0] / mask.shape[0]]
    )


def _box(
    points: NDArray[np.float64], angle: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and highest coordinates along axes rotated by an angle."""
    rotated = _turn(points, -angle)
    return rotated.min(0), rotated.max(0)


def _turn(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    rotated: NDArray[np.float64] = points @ np.array([[cos, sin], [-sin, cos]])
    return rotated


def _inside(centre: float, length: int, available: int) -> float:
    if length >= available:
        return available / 2
    return min(max(centre, length / 2), available - length / 2)
