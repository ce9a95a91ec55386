"""A rectangle of an image, upright or turned, that is looked at in place of the whole."""

from dataclasses import dataclass, replace
from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RegionOfInterest:
    """A rectangle of an image, in pixels of the image; it may reach beyond its borders."""

    centre: tuple[float, float]
    """x and y, in pixels from the upper left corner of the image."""
    size: tuple[int, int]
    """Height and width."""
    angle: float = 0.0
    """By which its x axis is turned from that of the image towards y, in radians."""
    mirrored: bool = False
    """Whether the image goes on beyond its borders as in a mirror, or as its outermost pixels."""

    def rotated(self, eighths: int) -> "RegionOfInterest":
        """The same place in another pose, mirrored beyond the borders of the image.

        Args:
            eighths: Eighths of a full turn. Quarter turns show the very same pixels: height and
                width change places.
        """
        height, width = self.size
        lying = eighths % 4 == 2
        return replace(
            self,
            size=(width, height) if lying else self.size,
            angle=self.angle + eighths * pi / 4,
            mirrored=True,
        )

    def to_image(self) -> NDArray[np.float64]:
        """(2, 3): takes x and y within the frame to those of the image."""
        height, width = self.size
        axes = np.array([[cos(self.angle), -sin(self.angle)], [sin(self.angle), cos(self.angle)]])
        shift = np.array(self.centre) - axes @ np.array([width / 2, height / 2])
        return np.column_stack([axes, shift])

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of an image (H, W, 3) within the frame; see `mirrored` for what lies beyond."""
        height, width = self.size
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        matrix = between_centres(self.to_image())
        border = cv2.BORDER_REFLECT if self.mirrored else cv2.BORDER_REPLICATE
        cut = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
        return np.asarray(cut, np.uint8)


def between_centres(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Takes indices of pixels to each other, given what takes positions to each other.

    The first pixel has index 0 and reaches from position 0 to 1.

    Args:
        matrix: (2, 3), affine.
    """
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return moved
