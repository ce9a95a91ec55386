"""All regions of all images, from maps or from masks."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.config import MebinConfig, RegionConfig
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.masks import Masks, encode_mask
from anomalyncd.regions.boxes import boxes_from_mask
from anomalyncd.regions.crops import crop
from anomalyncd.regions.mebin import Binarised, binarise_all
from anomalyncd.regions.score_range import ScoreRange, rescale
from anomalyncd.regions.table import CodedMasks, Regions, resize_mask
from anomalyncd.runtime.progress import track


def regions_of_maps(
    maps: AnomalyMaps,
    sizes: NDArray[np.int64],
    score_range: ScoreRange,
    mebin: MebinConfig,
    config: RegionConfig,
) -> Regions:
    """Binarises every map and cuts its regions out; maps are streamed.

    Args:
        maps: One a image.
        sizes: Height and width of each image, (N, 2), px.
        score_range: The score range of all maps.
        mebin: Binarisation.
        config: Crops.
    """
    tables, codes, counts = [], [], []
    binarised_maps = binarise_all(maps, score_range, mebin)
    for index, whole in enumerate(track(binarised_maps, "Finding regions", len(maps))):
        binarised = _without_ignored(whole, index, maps)
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(find_regions(index, maps[index], binarised, size, score_range, config))
        codes.append(encode_mask(binarised.mask))
        counts.append(binarised.counts)
    return replace(
        Regions.concatenate(tables),
        masks=CodedMasks(tuple(codes)),
        counts=np.stack(counts),
        max_normal_score=score_range.max_normal_score,
    )


def regions_of_masks(masks: Masks, sizes: NDArray[np.int64], config: RegionConfig) -> Regions:
    """Cuts out the regions that somebody has marked.

    Args:
        masks: One a image.
        sizes: Height and width of each image, (N, 2), px.
        config: Crops.
    """
    tables, codes = [], []
    for index in track(range(len(masks)), "Finding regions"):
        mask = masks[index]
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(regions_from_mask(index, mask, size, config))
        codes.append(encode_mask(mask))
    return replace(
        Regions.concatenate(tables),
        masks=CodedMasks(tuple(codes)),
        counts=np.zeros((len(masks), 0), np.int64),
    )


def _without_ignored(binarised: Binarised, index: int, maps: AnomalyMaps) -> Binarised:
    """Ignored places hold the lowest score of a map, which may still be above its threshold."""
    places = maps.ignored
    ignored = None if places is None else places.at_size(index, binarised.mask.shape)
    return binarised if ignored is None else replace(binarised, mask=binarised.mask & ~ignored)


def find_regions(
    index: int,
    anomaly_map: NDArray[Any],
    binarised: Binarised,
    image_size: tuple[int, int],
    score_range: ScoreRange,
    config: RegionConfig,
) -> Regions:
    """Finds the regions of one image.

    Args:
        index: Index of the image.
        anomaly_map: (h, w), any real type.
        binarised: What MEBin made of the map.
        image_size: Height and width of the image in px.
        score_range: The score range of all maps.
        config: Rules, margins and distances.

    Returns:
        At least one region, largest first (AnomalyNCD, section 3.1). `paper`: scores are taken
        from the map after Pillow's bicubic resize to the image, so slightly above 1 at times.
    """
    mask = resize_mask(binarised.mask, image_size)
    boxes = boxes_from_mask(mask, binarised.n_regions, config)
    scaled = rescale(anomaly_map, score_range)
    if config.rules == "paper":
        height, width = image_size
        scaled = np.asarray(Image.fromarray(scaled).resize((width, height)))
        peaks = [float(crop(scaled, box, "zero").max()) for box in boxes]
    else:
        peaks = [_peak(scaled, box, image_size) for box in boxes]
    found = bool(mask.any()) and not score_range.is_background(anomaly_map)
    return _table(index, mask, boxes, np.array(peaks, np.float32), found)


def regions_from_mask(
    index: int, mask: NDArray[np.bool_], image_size: tuple[int, int], config: RegionConfig
) -> Regions:
    """Finds the regions of one image whose defects somebody has marked.

    Args:
        index: Index of the image.
        mask: (h, w), bool, any size; not eroded.
        image_size: Height and width of the image in px.
        config: Rules, margins and distances.

    Returns:
        At least one region, largest first; scores are 1, or 0 where the mask is empty.
    """
    at_image_size = resize_mask(mask, image_size)
    n_regions = cv2.connectedComponents(at_image_size.astype(np.uint8), connectivity=8)[0] - 1
    boxes = boxes_from_mask(at_image_size, n_regions, config)
    scores = np.full(len(boxes), at_image_size.any(), np.float32)
    return _table(index, at_image_size, boxes, scores, bool(at_image_size.any()))


def _table(
    index: int,
    mask: NDArray[np.bool_],
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    found: bool,
) -> Regions:
    areas = [np.count_nonzero(crop(mask, box, "zero")) for box in boxes]
    rows = np.full(len(boxes), index), boxes, np.array(areas), scores
    return Regions(*rows, np.full(len(boxes), found))


def _peak(
    scaled: NDArray[np.float32], box: NDArray[np.float64], image_size: tuple[int, int]
) -> float:
    """Highest value of a map among the pixels that a box of the image touches."""
    ratio = np.array(scaled.shape) / image_size
    top, left = np.maximum(np.floor(box[[1, 0]] * ratio), 0).astype(int)
    bottom, right = np.ceil(box[[3, 2]] * ratio).astype(int)
    return float(scaled[top:bottom, left:right].max())
