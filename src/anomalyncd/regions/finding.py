"""All regions of all parts, from maps or from masks."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.maps import Maps
from anomalyncd.data.masks import Masks, encode_mask
from anomalyncd.progress import track
from anomalyncd.regions.masks import CodedMasks
from anomalyncd.regions.mebin import Binarised, binarise_all
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.regions.table import Regions, find_regions, regions_from_mask
from anomalyncd.settings import MebinSettings, RegionSettings


@dataclass(frozen=True, eq=False)
class Found:
    """What is anomalous on some parts."""

    regions: Regions
    """Regions of all parts, in the order of the parts; at least one each."""
    masks: CodedMasks
    """One a part, at the size of its map: what is marked, whether or not it stands out."""
    counts: NDArray[np.int64]
    """(N, n_thresholds): MEBin's connected components of each part, highest threshold first;
    (N, 0) where the masks were given."""
    highest_split: float = 1.0
    """Highest score of a region that may part normal from anomalous, see `ScoreRange`."""

    @property
    def masks_found(self) -> CodedMasks:
        """The masks, empty where nothing stands out on a part."""
        with_region = set(self.regions.image[self.regions.found].tolist())
        codes = enumerate(self.masks.codes)
        return CodedMasks(
            tuple(
                code if index in with_region else encode_mask(np.zeros_like(self.masks[index]))
                for index, code in codes
            )
        )


def regions_of_maps(
    maps: Maps,
    sizes: NDArray[np.int64],
    bounds: ScoreRange,
    mebin: MebinSettings,
    settings: RegionSettings,
) -> Found:
    """Binarises every map and cuts its regions out; maps are streamed.

    Args:
        maps: One a part.
        sizes: Height and width of each part, (N, 2), px.
        bounds: The score range of all maps.
        mebin: Binarisation.
        settings: Crops.
    """
    tables, codes, counts = [], [], []
    binarised_maps = binarise_all(maps, bounds, mebin)
    for index, whole in enumerate(track(binarised_maps, "Finding regions", len(maps))):
        binarised = _without_ignored(whole, index, maps)
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(find_regions(index, maps[index], binarised, size, bounds, settings))
        codes.append(encode_mask(binarised.mask))
        counts.append(binarised.counts)
    found = _found(tables, codes, np.stack(counts))
    return replace(found, highest_split=bounds.highest_split)


def regions_of_masks(masks: Masks, sizes: NDArray[np.int64], settings: RegionSettings) -> Found:
    """Cuts out the regions that somebody has marked.

    Args:
        masks: One a part.
        sizes: Height and width of each part, (N, 2), px.
        settings: Crops.
    """
    tables, codes = [], []
    for index in track(range(len(masks)), "Finding regions"):
        mask = masks[index]
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        tables.append(regions_from_mask(index, mask, size, settings))
        codes.append(encode_mask(mask))
    return _found(tables, codes, np.zeros((len(masks), 0), np.int64))


def _without_ignored(binarised: Binarised, index: int, maps: Maps) -> Binarised:
    """Ignored places hold the lowest score of a map, which may still be above its threshold."""
    places = maps.ignored
    ignored = None if places is None else places.at_size(index, binarised.mask.shape)
    return binarised if ignored is None else replace(binarised, mask=binarised.mask & ~ignored)


def _found(tables: list[Regions], codes: Iterable[bytes], counts: NDArray[np.int64]) -> Found:
    return Found(Regions.concatenate(tables), CodedMasks(tuple(codes)), counts)
