"""Finds the regions of all images, from anomaly maps or from masks."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.config import Config, MebinConfig, RegionConfig
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.boxes import boxes_from_mask
from anomalyncd.regions.crops import crop
from anomalyncd.regions.mebin import Binarised, binarise_all
from anomalyncd.regions.outlines import sharpen
from anomalyncd.regions.score_range import ScoreRange, rescale
from anomalyncd.regions.shapes import measure_shape
from anomalyncd.regions.table import CodedMasks, Regions, resize_mask
from anomalyncd.regions.windows import binarise_windows, window_side
from anomalyncd.runtime.progress import track


def regions_of_inputs(
    inputs: Inputs, maps: AnomalyMaps | None, score_range: ScoreRange | None, config: Config
) -> Regions:
    """Finds the regions in the masks that were given, or else in anomaly maps.

    Args:
        inputs: The images, and their masks where these were given.
        maps: One for each image; None where masks were given.
        score_range: The score range of all maps; None where masks were given.
        config: With the side of what is looked at, see `windows.with_looked_at_side`; the outlines
            of regions on tiles are sharpened.
    """
    if inputs.masks is not None:
        return regions_of_masks(inputs.masks, inputs.sizes, config.regions)
    assert maps is not None
    assert score_range is not None
    regions = regions_of_maps(maps, inputs.sizes, score_range, config.mebin, config.regions)
    side = config.regions.of_side
    return regions if side is None else sharpen(regions, inputs.images, side)


def regions_of_maps(
    maps: AnomalyMaps,
    sizes: NDArray[np.int64],
    score_range: ScoreRange,
    mebin: MebinConfig,
    config: RegionConfig,
) -> Regions:
    """Binarises every map and finds its regions; maps are read one at a time.

    Args:
        maps: One for each image.
        sizes: Height and width of each image, (N, 2), px.
        score_range: The score range of all maps.
        mebin: How maps are binarised.
        config: How boxes are placed.
    """
    tables, codes, counts = [], [], []
    side = window_side(maps, sizes, config.of_side)
    if side is None:
        binarised_maps = binarise_all(maps, score_range, mebin)
    else:
        binarised_maps = (binarise_windows(scores, score_range, mebin, side) for scores in maps)
    for index, everywhere in enumerate(track(binarised_maps, "Finding regions", len(maps))):
        binarised = _without_ignored(everywhere, index, maps)
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(find_regions(maps[index], binarised, size, score_range, config))
        codes.append(encode_mask(binarised.mask))
        counts.append(binarised.counts)
    return replace(
        Regions.join(tables),
        masks=CodedMasks(tuple(codes)),
        counts=np.stack(counts),
        max_normal_score=score_range.max_normal_score,
    )


def regions_of_masks(masks: Masks, sizes: NDArray[np.int64], config: RegionConfig) -> Regions:
    """Finds the regions of given masks.

    Args:
        masks: One for each image.
        sizes: Height and width of each image, (N, 2), px.
        config: How boxes are placed.
    """
    tables, codes = [], []
    for index in track(range(len(masks)), "Finding regions"):
        mask = masks[index]
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(regions_from_mask(mask, size, config))
        codes.append(encode_mask(mask))
    return replace(
        Regions.join(tables),
        masks=CodedMasks(tuple(codes)),
        counts=np.zeros((len(masks), 0), np.int64),
    )


def _without_ignored(binarised: Binarised, index: int, maps: AnomalyMaps) -> Binarised:
    """Removes ignored pixels, whose lowest score of the map may still be above the threshold."""
    if maps.ignored is None:
        return binarised
    ignored = maps.ignored.at_size(index, binarised.mask.shape)
    return binarised if ignored is None else replace(binarised, mask=binarised.mask & ~ignored)


def find_regions(
    anomaly_map: NDArray[Any],
    binarised: Binarised,
    image_size: tuple[int, int],
    score_range: ScoreRange,
    config: RegionConfig,
) -> Regions:
    """Finds the regions of one image.

    Args:
        anomaly_map: (h, w), any real type.
        binarised: The binarised map.
        image_size: Height and width of the image in px.
        score_range: The score range of all maps.
        config: Rules, margins and distances.

    Returns:
        At least one region, largest first (AnomalyNCD, section 3.1), of image 0. With the `paper`
        rules scores come from the map after Pillow's bicubic resize to the image, so they may be
        slightly above 1.
    """
    mask = resize_mask(binarised.mask, image_size)
    placed = mask
    if config.of_side is not None and not mask.any():
        # The whole image would be far larger than any region.
        placed = resize_mask(anomaly_map == anomaly_map.max(), image_size)
        placed = _first_only(placed)
    boxes = boxes_from_mask(placed, binarised.n_regions, config)
    scaled = rescale(anomaly_map, score_range)
    if config.rules == "paper":
        height, width = image_size
        scaled = np.asarray(Image.fromarray(scaled).resize((width, height)))
        peaks = [float(crop(scaled, box, "zero").max()) for box in boxes]
    else:
        peaks = [_peak(scaled, box, image_size) for box in boxes]
    found = bool(mask.any()) and not score_range.is_background(anomaly_map)
    return _table(mask, boxes, np.array(peaks, np.float32), found)


def regions_from_mask(
    mask: NDArray[np.bool_], image_size: tuple[int, int], config: RegionConfig
) -> Regions:
    """Finds the regions of one image in a given mask.

    Args:
        mask: (h, w), bool, any size; it is not eroded.
        image_size: Height and width of the image in px.
        config: Rules, margins and distances.

    Returns:
        At least one region, largest first, of image 0; scores are 1, or 0 for an empty mask.
    """
    at_image_size = resize_mask(mask, image_size)
    n_regions = cv2.connectedComponents(at_image_size.astype(np.uint8), connectivity=8)[0] - 1
    boxes = boxes_from_mask(at_image_size, n_regions, config)
    scores = np.full(len(boxes), at_image_size.any(), np.float32)
    return _table(at_image_size, boxes, scores, bool(at_image_size.any()))


def _first_only(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keeps the first marked pixel of a mask."""
    first = np.zeros_like(mask)
    first.flat[mask.argmax()] = True
    return first


def _table(
    mask: NDArray[np.bool_],
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    found: bool,
) -> Regions:
    inside = [crop(mask, box, "zero") for box in boxes]
    areas = np.array([np.count_nonzero(one) for one in inside])
    shapes = np.array([measure_shape(one, mask.size) for one in inside])
    rows = np.zeros(len(boxes), np.int64), boxes, areas, scores
    return Regions(*rows, np.full(len(boxes), found), shape=shapes)


def _peak(
    scaled: NDArray[np.float32], box: NDArray[np.float64], image_size: tuple[int, int]
) -> float:
    """Returns the highest value of a map among the pixels that a box of the image touches."""
    ratio = np.array(scaled.shape) / image_size
    top, left = np.maximum(np.floor(box[[1, 0]] * ratio), 0).astype(int)
    bottom, right = np.ceil(box[[3, 2]] * ratio).astype(int)
    return float(scaled[top:bottom, left:right].max())
