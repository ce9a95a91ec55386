"""All regions of all parts, from maps or from masks."""

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.maps import Maps
from anomalyncd.data.masks import Masks
from anomalyncd.progress import track
from anomalyncd.regions.masks import CodedMasks, encode_mask
from anomalyncd.regions.mebin import binarise_all
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.regions.table import Regions, find_regions, regions_from_mask
from anomalyncd.settings import MebinSettings, RegionSettings


def regions_of_maps(
    maps: Maps,
    sizes: NDArray[np.int64],
    bounds: ScoreRange,
    mebin: MebinSettings,
    settings: RegionSettings,
) -> tuple[Regions, CodedMasks]:
    """Binarises every map and cuts its regions out; maps are streamed.

    Args:
        maps: One a part.
        sizes: Height and width of each part, (N, 2), px.
        bounds: The score range of all maps.
        mebin: Binarisation.
        settings: Crops.

    Returns:
        Regions of all parts in order, and a mask a part at the size of its map.
    """
    tables, codes = [], []
    found = binarise_all(maps, bounds, mebin)
    for index, binarised in enumerate(track(found, "Finding regions", len(maps))):
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(find_regions(index, maps[index], binarised, size, bounds, settings))
        codes.append(encode_mask(binarised.mask))
    return Regions.concatenate(tables), CodedMasks(tuple(codes))


def regions_of_masks(
    masks: Masks, sizes: NDArray[np.int64], settings: RegionSettings
) -> tuple[Regions, CodedMasks]:
    """Cuts out the regions that somebody has marked, one mask a part; see `regions_of_maps`."""
    tables, codes = [], []
    for index in track(range(len(masks)), "Finding regions"):
        mask = masks[index]
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(regions_from_mask(index, mask, size, settings))
        codes.append(encode_mask(mask))
    return Regions.concatenate(tables), CodedMasks(tuple(codes))
