"""Places the region of interest around the foreground of one image."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.roi import RegionOfInterest


def place_roi(
    mask: NDArray[np.bool_], size: tuple[int, int], share: tuple[float, float], rotated: bool
) -> RegionOfInterest:
    """Places a rectangle of constant size around the foreground.

    An upright rectangle is kept inside the image. If there is no foreground, the rectangle lies in
    the middle of the image.

    Args:
        mask: The foreground, (rows, columns).
        size: Height and width of the image, px.
        share: Height and width of the rectangle, see `RoiLocator.size`.
        rotated: See `RoiLocator.rotated`.
    """
    side = (size[0] * size[1]) ** 0.5
    height, width = (max(1, ceil(side * one)) for one in share)
    if not mask.any():
        return RegionOfInterest((size[1] / 2, size[0] / 2), (height, width))
    points = positions(mask, size)
    angle = orientation(points).angle if rotated else 0.0
    low, high = bounds(points, angle)
    centre = _rotate((low + high) / 2, angle)
    if not rotated:
        centre = np.array(
            [
                _inside(float(centre[0]), width, size[1]),
                _inside(float(centre[1]), height, size[0]),
            ]
        )
    return RegionOfInterest((float(centre[0]), float(centre[1])), (height, width), angle)


@dataclass(frozen=True)
class Orientation:
    """The direction of the long axis of a set of points, and how long it is."""

    angle: float
    """Angle of the long axis, from the thin end to the thick one, in radians."""
    elongation: float
    """Ratio of the standard deviations along the long and the short axis."""


def orientation(points: NDArray[np.float64]) -> Orientation:
    """Returns the direction of the long axis of points, (N, 2)."""
    centred = points - points.mean(0)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(centred.T, bias=True)))
    axis = axes[:, 1]
    if np.mean((centred @ axis) ** 3) > 0:
        # Positive skewness: the long tail, which is the thin end, is on this side.
        axis = -axis
    elongation = float((max(variances[1], 1e-9) / max(variances[0], 1e-9)) ** 0.5)
    return Orientation(float(np.arctan2(axis[1], axis[0])), elongation)


def positions(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float64]:
    """x and y of the centres of the marked patches, (N, 2), px of the image."""
    rows, columns = mask.nonzero()
    return np.column_stack(
        [(columns + 0.5) * size[1] / mask.shape[1], (rows + 0.5) * size[0] / mask.shape[0]]
    )


def bounds(
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
