"""Maps of large images are looked at in windows, as if these were maps of their own."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config, MebinConfig
from anomalyncd.detection.tiles import tiles_of
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.regions.mebin import Binarised, MapSequence, binarise
from anomalyncd.regions.score_range import ScoreRange, fit_score_range

_LEAST_WINDOW = 256
"""Side of the smallest window, px of the map; the erosion of MEBin is meant for such maps."""


def with_looked_at_side(config: Config, side: int | None) -> Config:
    """Returns the config whose regions are relative to what is looked at.

    Args:
        config: As given; `regions.of_side` stays where it is set.
        side: Side of the tiles, px of the image; None where whole images are looked at.
    """
    if config.regions.of_side is not None or side is None:
        return config
    return replace(config, regions=replace(config.regions, of_side=side))


def window_side(maps: MapSequence, sizes: NDArray[np.int64], of_side: int | None) -> int | None:
    """Returns the side of the windows of all maps, px of a map; None looks at whole maps.

    Args:
        maps: One for each image; the first one is read.
        sizes: Height and width of each image, (N, 2), px.
        of_side: `RegionConfig.of_side`.
    """
    if of_side is None:
        return None
    shape = maps[0].shape
    side = max(_LEAST_WINDOW, round(of_side * shape[0] / int(sizes[0, 0])))
    return side if len(tiles_of(shape, side)) > 1 else None


def fit_score_range_of(
    maps: AnomalyMaps,
    sizes: NDArray[np.int64],
    config: Config,
    normal_maps: AnomalyMaps | None,
) -> ScoreRange:
    """Fits the score range to all maps, or to their windows where images are looked at in tiles.

    With windows, the quantiles of the config are still those of images: an image has several
    windows, and its highest score is the highest of all of them.

    Args:
        maps: One for each image.
        sizes: Height and width of each image, (N, 2), px.
        config: The config of MEBin, and `regions.of_side`.
        normal_maps: Maps of normal images, on the same scale.
    """
    side = window_side(maps, sizes, config.regions.of_side)
    if side is None:
        return fit_score_range(maps, config.mebin, normal_maps)
    per_image = 1 / len(tiles_of(maps[0].shape, side))
    quantiles = (config.mebin.background_quantile, config.mebin.max_normal_quantile)
    background, normal = (quantile**per_image for quantile in quantiles)
    mebin = replace(config.mebin, background_quantile=background, max_normal_quantile=normal)
    normals = None if normal_maps is None else _windows(normal_maps, side)
    return fit_score_range(_windows(maps, side), mebin, normals)


def _windows(maps: AnomalyMaps, side: int) -> Iterator[NDArray[np.generic]]:
    for scores in maps:
        for window in tiles_of(scores.shape, side):
            yield window.cut(scores)


def binarise_windows(
    scores: NDArray[Any], score_range: ScoreRange, config: MebinConfig, side: int
) -> Binarised:
    """Binarises each window of a map at the threshold that suits it, and joins the masks.

    Args:
        scores: (H, W), the map.
        score_range: The score range of all windows; one without a higher score than background
            has no anomalous pixel.
        config: Rules, thresholds and erosion.
        side: Side of a window, px.

    Returns:
        The mask of the map; the counts are sums over windows, the threshold is the lowest of them.
    """
    mask, threshold = np.zeros(scores.shape, bool), np.inf
    counts = np.zeros(config.n_thresholds, np.int64)
    for window in tiles_of(scores.shape, side):
        cut = window.cut(scores)
        if score_range.is_background(cut):
            continue
        binarised = binarise(cut, score_range, config)
        window.cut(mask)[binarised.mask] = True
        counts += binarised.counts
        threshold = min(threshold, binarised.threshold)
    n_regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    return Binarised(mask, threshold, n_regions, counts)
