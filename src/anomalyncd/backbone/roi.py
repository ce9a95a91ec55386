"""The region of interest: an upright or rotated rectangle of an image."""

from dataclasses import dataclass, replace
from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RegionOfInterest:
    """A rectangle of an image, in pixels of the image. It may reach beyond its borders."""

    centre: tuple[float, float]
    """x and y, px from the upper left corner of the image."""
    size: tuple[int, int]
    """Height and width, px."""
    angle: float = 0.0
    """Angle from the x axis of the image to that of the rectangle, towards y, in radians."""
    mirrored: bool = False
    """Whether the image is mirrored beyond its borders; otherwise its outermost pixels repeat."""

    def rotated(self, eighths: int) -> "RegionOfInterest":
        """Rotates the rectangle about its centre, with the image mirrored beyond its borders.

        Args:
            eighths: Eighths of a full turn. After a quarter turn it covers the same pixels, since
                height and width change places.
        """
        height, width = self.size
        is_quarter = eighths % 4 == 2
        return replace(
            self,
            size=(width, height) if is_quarter else self.size,
            angle=self.angle + eighths * pi / 4,
            mirrored=True,
        )

    def to_image(self) -> NDArray[np.float64]:
        """Returns the matrix (2, 3) from x and y in the rectangle to x and y in the image."""
        height, width = self.size
        axes = np.array([[cos(self.angle), -sin(self.angle)], [sin(self.angle), cos(self.angle)]])
        shift = np.array(self.centre) - axes @ np.array([width / 2, height / 2])
        return np.column_stack([axes, shift])

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cuts the rectangle out of an image (H, W, 3)."""
        height, width = self.size
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        matrix = between_centres(self.to_image())
        border = cv2.BORDER_REFLECT if self.mirrored else cv2.BORDER_REPLICATE
        cut = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
        return np.asarray(cut, np.uint8)


def between_centres(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Converts an affine map (2, 3) between positions into one between indices of pixels.

    The pixel of index 0 reaches from position 0 to position 1.
    """
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return moved
