"""Outlines of regions on tiled images, sharpened by what the image itself shows there."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.regions.shapes import measure_shape
from anomalyncd.regions.table import CodedMasks, Regions, resize_mask
from anomalyncd.runtime.progress import track

_SMOOTHING = 1.5
"""Standard deviation of the Gaussian that takes noise from the image, px."""
_EXTENT = 0.5
"""Share of the largest difference from the surroundings at which a defect ends."""
_ORDINARY = 0.99
"""Quantile of the differences in the surroundings that a defect must exceed."""
_REACH = 1 / 24
"""How far a defect may reach beyond its mask, as a share of the side of a tile: a patch."""
_LARGEST = 4
"""Side of the largest region that is sharpened, in tiles; a patch is nothing to larger ones."""


def sharpen(regions: Regions, images: ImageSet, side: int) -> Regions:
    """Sharpens the masks of regions that are found on tiles, and measures area and shape anew.

    A patch of the backbone is larger than a small defect, so an anomaly map shows where the defect
    is, but not how large. On the mask and up to a patch around it, those pixels are marked that
    differ from the surroundings by at least half as much as the most different one, and that are
    connected with the mask. The mask stays as it is where nothing in it differs more than the
    surroundings do among themselves.

    Args:
        regions: The regions of all images.
        images: The images; those with an anomalous region are read once.
        side: Side of a tile, px.

    Returns:
        The regions with masks at the size of the images where they have anomalous regions.
    """
    areas, shapes = regions.area.copy(), regions.shape.copy()
    codes = list(regions.masks.codes)
    for number in track(np.unique(regions.image[regions.found]).tolist(), "Sharpening outlines"):
        image = images.image(number)
        mask = resize_mask(regions.masks[number], (image.shape[0], image.shape[1]))
        reach = max(1, round(side * _REACH))
        sharp = np.zeros_like(mask)
        rows = np.flatnonzero(regions.image == number)
        for row in rows:
            inside = _inside(regions.box[row], mask.shape)
            around = _inside(regions.box[row] + 2 * reach * np.array([-1, -1, 1, 1]), mask.shape)
            if regions.box[row, 2] - regions.box[row, 0] > _LARGEST * side:
                sharp[inside] |= mask[inside]
                continue
            of_region = np.zeros_like(mask)
            of_region[inside] = mask[inside]
            sharp[around] |= outline(image[around], of_region[around], reach)
        for row in rows:
            inside_box = sharp[_inside(regions.box[row], mask.shape)]
            areas[row] = np.count_nonzero(inside_box)
            shapes[row] = measure_shape(inside_box, sharp.size)
        codes[number] = encode_mask(sharp)
    return replace(regions, area=areas, shape=shapes, masks=CodedMasks(tuple(codes)))


def outline(image: NDArray[np.uint8], mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Returns the part of a box that differs clearly from the surroundings of a mask in it.

    Args:
        image: The box cut out of the image, (H, W, 3).
        mask: (H, W).
        reach: How far the defect may reach beyond the mask, px.

    Returns:
        (H, W); the mask itself if nothing in it stands out.
    """
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    if not mask.any() or near.all():
        return mask
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), _SMOOTHING)
    difference = np.abs(smooth - np.median(smooth[~near], axis=0)).max(axis=2)
    highest = float(difference[mask].max())
    ordinary = float(np.quantile(difference[~near], _ORDINARY))
    if highest <= ordinary:
        return mask
    clear = near & (difference > max(highest * _EXTENT, ordinary))
    components = cv2.connectedComponents(clear.astype(np.uint8), connectivity=8)[1]
    return np.isin(components, np.unique(components[mask & clear]))


def _inside(box: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of a box that lies inside an image."""
    left, top, right, bottom = (int(edge) for edge in np.rint(box))
    rows = slice(max(top, 0), min(bottom, shape[0]))
    return rows, slice(max(left, 0), min(right, shape[1]))
