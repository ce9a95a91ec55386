"""Square boxes around the connected parts of a mask. Boxes are (left, top, right, bottom), px."""

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.regions.published_boxes import published_boxes
from anomalyncd.settings import RegionSettings


def boxes_from_mask(
    mask: NDArray[np.bool_], n_regions: int, settings: RegionSettings
) -> NDArray[np.float64]:
    """Puts square boxes around the connected parts of a mask and merges those that are close.

    `paper`: see `published_boxes`; the `n_regions + 1` largest are kept. `default`: whole pixels,
    inside the image (a square larger than the short side overhangs it equally on both ends),
    merged until no two are close, all kept. `settings.max_per_image` replaces either number.

    Args:
        mask: (H, W), at the size of the image.
        n_regions: MEBin's region count.
        settings: Rules, margins and distances.

    Returns:
        (R, 4), R >= 1, largest first, at equal size the one that holds more of the mask (`paper`:
        in the published order). For an empty mask the whole image: with the `paper` rules as it
        is, else as a square of the long side (AnomalyNCD, section 3.1).
    """
    extents, image_size = _extents(mask), (mask.shape[0], mask.shape[1])
    whole = np.array([[0, 0, mask.shape[1], mask.shape[0]]])
    if settings.rules == "paper":
        boxes = published_boxes(extents, image_size, settings) if len(extents) else whole
        n_kept = n_regions + 1
    elif len(extents):
        boxes = _largest_first(_merged_squares(extents, image_size, settings), mask)
        n_kept = len(boxes)
    else:
        boxes, n_kept = _squares(whole, image_size, settings), 1
    return boxes[: settings.max_per_image or n_kept].astype(np.float64)


def _extents(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Boxes of the outer contours, (N, 4), smallest area first, then by left, top, width."""
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    if not contours:
        return np.zeros((0, 4), np.int64)
    left, top, width, height = np.array([cv2.boundingRect(c) for c in contours], np.int64).T
    order = np.lexsort((height, width, top, left, width * height))
    return np.stack([left, top, left + width, top + height], axis=1)[order]


def _squares(
    extents: NDArray[np.int64], image_size: tuple[int, int], settings: RegionSettings
) -> NDArray[np.int64]:
    """Square boxes around extents, shifted inside the image where they fit."""
    height, width = image_size
    long_side = max(image_size)
    sides = (extents[:, 2:] - extents[:, :2]).max(axis=1)
    smallest = max(1, round(2 * settings.min_half_side * long_side))
    sides = np.clip(np.rint(settings.margin * sides).astype(np.int64), smallest, long_side)[:, None]
    room = np.array([width, height]) - sides
    start = (extents[:, :2] + extents[:, 2:] - sides) // 2
    start = np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), room // 2)
    return np.concatenate([start, start + sides], axis=1)


def _merged_squares(
    extents: NDArray[np.int64], image_size: tuple[int, int], settings: RegionSettings
) -> NDArray[np.int64]:
    """Squares around what is left when extents whose squares are close have become one."""
    gap = settings.merge_gap * max(image_size)
    while True:
        squares = _squares(extents, image_size, settings)
        groups = _groups(squares, gap)
        if len(groups) == len(extents):
            return squares
        extents = np.stack(
            [np.append(extents[g, :2].min(axis=0), extents[g, 2:].max(axis=0)) for g in groups]
        )


def _groups(boxes: NDArray[np.int64], gap: float) -> list[NDArray[np.int64]]:
    """Indices of boxes that hang together, directly or through others."""
    left = np.arange(len(boxes))
    groups = []
    while left.size:
        group, frontier = [left[0]], [left[0]]
        left = left[1:]
        while frontier:
            near = _close(boxes[frontier.pop()], boxes[left], gap)
            frontier.extend(left[near])
            group.extend(left[near])
            left = left[~near]
        groups.append(np.array(group))
    return groups


def _close(box: NDArray[np.int64], boxes: NDArray[np.int64], gap: float) -> NDArray[np.bool_]:
    """Which boxes overlap a box or are nearer to it than `gap`."""
    apart = np.maximum(box[:2], boxes[:, :2]) - np.minimum(box[2:], boxes[:, 2:])
    distance = np.hypot(*np.maximum(apart, 0).T)
    near: NDArray[np.bool_] = (apart < 0).all(axis=1) | (distance < gap)
    return near


def _largest_first(boxes: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    inside = np.maximum(boxes, 0)
    areas = [np.count_nonzero(mask[top:bottom, left:right]) for left, top, right, bottom in inside]
    return boxes[np.lexsort((np.negative(areas), boxes[:, 0] - boxes[:, 2]))]
