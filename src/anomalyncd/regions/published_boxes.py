"""The published way from the parts of a mask to boxes, kept for the `paper` rules.

Boxes are (left, top, right, bottom) in pixels.
"""

from functools import reduce
from math import hypot

import numpy as np
from numpy.typing import NDArray

from anomalyncd.settings import RegionSettings

Box = tuple[float, float, float, float]


def published_boxes(
    extents: NDArray[np.int64], image_size: tuple[int, int], settings: RegionSettings
) -> NDArray[np.generic]:
    """Squares around the parts of a mask; each is merged with its direct neighbours.

    Merging is not transitive, so a box may take part in several unions. Each union is made square
    about its centre as boxes are added, in halves of pixels, and may leave the image.

    Args:
        extents: (N, 4), int, boxes of the parts in ascending order of area, then left, top.
        image_size: Height and width of the image.
        settings: Margins and distances.

    Returns:
        (R, 4), largest first (AnomalyNCD, section 3.1, and its published code).
    """
    gap = int(max(image_size) * settings.merge_gap)
    squares = [_square(extent, image_size, settings) for extent in extents.tolist()]
    return np.array(_merge_neighbours(squares, gap), np.float64)


def _square(extent: list[int], image_size: tuple[int, int], settings: RegionSettings) -> Box:
    height, width = image_size
    left, top, right, bottom = extent
    longest = max(bottom - top, right - left)
    half = max(int(longest * settings.margin * 0.5), int(max(image_size) * settings.min_half_side))
    half = min(half, max(image_size) // 2)
    x = _shifted((left + right) // 2 - half, half, width)
    y = _shifted((top + bottom) // 2 - half, half, height)
    return x, y, x + 2 * half, y + 2 * half


def _shifted(start: int, half: int, length: int) -> int:
    if start < 0:
        return 0
    return length - 2 * half if start + 2 * half > length else start


def _merge_neighbours(squares: list[Box], gap: int) -> list[Box]:
    neighbours = [
        tuple(sorted(other for other in squares if _distance(square, other) < gap))
        for square in squares
    ]
    groups = [group for group in dict.fromkeys(neighbours) if group]
    groups = [group for group in groups if not any(set(group) < set(other) for other in groups)]
    boxes = list(squares)
    for group in groups:
        # A union that equals a member of a later group is taken back with it, as published.
        for box in group:
            if box in boxes:
                boxes.remove(box)
        boxes.append(reduce(_square_union, group))
    return sorted(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), reverse=True)


def _distance(one: Box, other: Box) -> float:
    """Gap between two boxes; -1 where they overlap."""
    x = max(one[0], other[0]) - min(one[2], other[2])
    y = max(one[1], other[1]) - min(one[3], other[3])
    return -1 if x < 0 and y < 0 else hypot(max(x, 0), max(y, 0))


def _square_union(one: Box, other: Box) -> Box:
    left, top = min(one[0], other[0]), min(one[1], other[1])
    right, bottom = max(one[2], other[2]), max(one[3], other[3])
    widen = max((bottom - top) - (right - left), 0) / 2
    heighten = max((right - left) - (bottom - top), 0) / 2
    return left - widen, top - heighten, right + widen, bottom + heighten
