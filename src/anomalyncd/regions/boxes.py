"""Square boxes around the connected components of a mask.

Boxes are (left, top, right, bottom) in pixels.
"""

from functools import reduce
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import RegionConfig

Box = tuple[float, float, float, float]


def boxes_from_mask(
    mask: NDArray[np.bool_], n_regions: int, config: RegionConfig
) -> NDArray[np.float64]:
    """Puts square boxes around the components of a mask and merges boxes that are close.

    `paper`: see `published_boxes`; the `n_regions + 1` largest boxes are returned. `default`:
    boxes of whole pixels inside the image (a square larger than the short side extends equally
    beyond both ends), merged until no two are close; all are returned. `config.max_per_image`
    limits the number under either rule.

    Args:
        mask: (H, W), at the size of the image.
        n_regions: MEBin's region count.
        config: Rules, margins and distances.

    Returns:
        (R, 4), R >= 1, largest first; of equally large boxes the one that covers more of the mask
        comes first (`paper`: in the published order). For an empty mask the box is the whole
        image, with the `default` rules made a square of the long side (AnomalyNCD, section 3.1).
    """
    extents, image_size = _extents(mask), (mask.shape[0], mask.shape[1])
    whole = np.array([[0, 0, mask.shape[1], mask.shape[0]]])
    if config.rules == "paper":
        boxes = published_boxes(extents, image_size, config) if len(extents) else whole
        limit = n_regions + 1
    elif len(extents):
        boxes = _largest_first(_merged_squares(extents, image_size, config), mask)
        limit = len(boxes)
    else:
        boxes, limit = _squares(_looked_at(whole, config), image_size, config), 1
    return boxes[: config.max_per_image or limit].astype(np.float64)


def _looked_at(whole: NDArray[np.int64], config: RegionConfig) -> NDArray[np.int64]:
    """The middle of an image, as large as what is looked at."""
    if config.of_side is None:
        return whole
    middle, half = whole[:, 2:] // 2, np.minimum(whole[:, 2:], config.of_side) // 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _extents(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns the boxes of the outer contours, (N, 4), by area, left, top and width."""
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    if not contours:
        return np.zeros((0, 4), np.int64)
    left, top, width, height = np.array([cv2.boundingRect(c) for c in contours], np.int64).T
    order = np.lexsort((height, width, top, left, width * height))
    return np.stack([left, top, left + width, top + height], axis=1)[order]


def _squares(
    extents: NDArray[np.int64], image_size: tuple[int, int], config: RegionConfig
) -> NDArray[np.int64]:
    """Makes square boxes around extents, shifted inside the image where they fit."""
    height, width = image_size
    long_side = max(image_size)
    of_side = config.of_side or long_side
    sides = (extents[:, 2:] - extents[:, :2]).max(axis=1)
    smallest = max(1, round(2 * config.min_half_side * min(of_side, long_side)))
    sides = np.clip(np.rint(config.margin * sides).astype(np.int64), smallest, long_side)[:, None]
    room = np.array([width, height]) - sides
    start = (extents[:, :2] + extents[:, 2:] - sides) // 2
    start = np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), room // 2)
    return np.concatenate([start, start + sides], axis=1)


def _merged_squares(
    extents: NDArray[np.int64], image_size: tuple[int, int], config: RegionConfig
) -> NDArray[np.int64]:
    """Makes squares around extents, and unites extents until no two squares are close."""
    gap = config.merge_gap * (config.of_side or max(image_size))
    while True:
        squares = _squares(extents, image_size, config)
        groups = _groups(squares, gap)
        if len(groups) == len(extents):
            return squares
        extents = np.stack(
            [np.append(extents[g, :2].min(axis=0), extents[g, 2:].max(axis=0)) for g in groups]
        )


def _groups(boxes: NDArray[np.int64], gap: float) -> list[NDArray[np.int64]]:
    """Groups the indices of boxes that are close, directly or through other boxes."""
    remaining = np.arange(len(boxes))
    groups = []
    while remaining.size:
        group, frontier = [remaining[0]], [remaining[0]]
        remaining = remaining[1:]
        while frontier:
            near = _close(boxes[frontier.pop()], boxes[remaining], gap)
            frontier.extend(remaining[near])
            group.extend(remaining[near])
            remaining = remaining[~near]
        groups.append(np.array(group))
    return groups


def _close(box: NDArray[np.int64], boxes: NDArray[np.int64], gap: float) -> NDArray[np.bool_]:
    """Returns which boxes overlap a box or are nearer to it than `gap`."""
    between = np.maximum(box[:2], boxes[:, :2]) - np.minimum(box[2:], boxes[:, 2:])
    distance = np.hypot(*np.maximum(between, 0).T)
    near: NDArray[np.bool_] = (between < 0).all(axis=1) | (distance < gap)
    return near


def _largest_first(boxes: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    inside = np.maximum(boxes, 0)
    areas = [np.count_nonzero(mask[top:bottom, left:right]) for left, top, right, bottom in inside]
    return boxes[np.lexsort((np.negative(areas), boxes[:, 0] - boxes[:, 2]))]


def published_boxes(
    extents: NDArray[np.int64], image_size: tuple[int, int], config: RegionConfig
) -> NDArray[np.generic]:
    """Makes squares around components and merges each with its direct neighbours.

    Merging is not transitive, so a box may belong to several unions. Each union is made square
    about its centre as boxes are added, in halves of pixels, and may leave the image.

    Args:
        extents: (N, 4), int, boxes of the components, sorted by area, then left, then top.
        image_size: Height and width of the image.
        config: Margins and distances.

    Returns:
        (R, 4), largest first (AnomalyNCD, section 3.1, and its published code).
    """
    gap = int((config.of_side or max(image_size)) * config.merge_gap)
    squares = [_square(extent, image_size, config) for extent in extents.tolist()]
    return np.array(_merge_neighbours(squares, gap), np.float64)


def _square(extent: list[int], image_size: tuple[int, int], config: RegionConfig) -> Box:
    height, width = image_size
    left, top, right, bottom = extent
    longest = max(bottom - top, right - left)
    half = max(
        int(longest * config.margin * 0.5),
        int((config.of_side or max(image_size)) * config.min_half_side),
    )
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
        # A union that equals a member of a later group is removed with it, as published.
        for box in group:
            if box in boxes:
                boxes.remove(box)
        boxes.append(reduce(_square_union, group))
    return sorted(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), reverse=True)


def _distance(box: Box, other: Box) -> float:
    """Returns the gap between two boxes; -1 where they overlap."""
    x = max(box[0], other[0]) - min(box[2], other[2])
    y = max(box[1], other[1]) - min(box[3], other[3])
    return -1 if x < 0 and y < 0 else hypot(max(x, 0), max(y, 0))


def _square_union(box: Box, other: Box) -> Box:
    left, top = min(box[0], other[0]), min(box[1], other[1])
    right, bottom = max(box[2], other[2]), max(box[3], other[3])
    widen = max((bottom - top) - (right - left), 0) / 2
    heighten = max((right - left) - (bottom - top), 0) / 2
    return left - widen, top - heighten, right + widen, bottom + heighten
