"""Shape of a defect as a few numbers."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Mask area over image area that counts as nothing in the descriptor.
_SMALLEST_SHARE = 1e-4


def shape_descriptor(mask: NDArray[np.bool_], image_area: int) -> NDArray[np.float32]:
    """Describes size and shape of a mask by four numbers of about unit range (our own).

    Args:
        mask: (H, W), bool: the mask within a region, in image pixels.
        image_area: Pixels of the whole image.

    Returns:
        (4,), float32: size (area over image area on a logarithmic scale, 0 at 1/10000 or less, 1 at
        the whole image), elongation (decimal logarithm of long over short axis, from second
        moments), solidity (area over area of the convex hull) and scatter (1 - 1 / number of
        connected parts). All zeros for an empty mask.
    """
    rows, columns = np.nonzero(mask)
    if not rows.size:
        return np.zeros(4, np.float32)
    share = rows.size / image_area
    size = 1 - np.log(max(share, _SMALLEST_SHARE)) / np.log(_SMALLEST_SHARE)
    points = np.stack([columns, rows], axis=1)
    n_parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    shape = (size, _elongation(points), _solidity(points), 1 - 1 / n_parts)
    return np.array(shape, np.float32)


def _elongation(points: NDArray[np.int64]) -> float:
    # A pixel is a square, not a point: 1/12 is its own second moment.
    moments = np.cov(points.T, bias=True) + np.eye(2) / 12
    short, long = np.linalg.eigvalsh(moments)
    return float(np.log10(long / short) / 2)


def _solidity(points: NDArray[np.int64]) -> float:
    corners = np.concatenate([points + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))])
    hull = cv2.convexHull(corners.astype(np.int32))
    return float(len(points) / cv2.contourArea(hull))
