"""Builds `inspect.html`: anomaly maps and what MEBin makes of them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd import __version__
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.regions.inspection import MapInspection, facts
from anomalyncd.regions.map_warnings import map_warnings
from anomalyncd.regions.table import resize_mask
from anomalyncd.report.page import write_page
from anomalyncd.report.pictures import (
    PART_SIDE,
    coded,
    outlined,
)
from anomalyncd.report.plots import log_histogram
from anomalyncd.runtime.progress import track

PAGE = "inspect.html"
_N_SPANS = 24
_N_SPREAD, _N_AT_BORDER = 8, 4
_BRIGHTEST_GREY, _DARKEST_HEAT = 120, 96


def write_inspection(seen: MapInspection, images: ImageSet, folder: str | Path) -> Path:
    """Writes one page about anomaly maps, complete in itself.

    Args:
        seen: The maps and their regions.
        images: Their photographs.
        folder: Made where it is missing.

    Returns:
        `folder/inspect.html`.
    """
    path = Path(folder).expanduser() / PAGE
    with_region, without = sheet(seen)
    shown = [*with_region, *without]
    bottom = min(float(seen.score_range.convert(seen.maps[index]).min()) for index in shown)
    pictures = {
        index: _pair(seen, images, index, bottom) for index in track(shown, "Drawing images")
    }
    write_page(
        path,
        seen=seen,
        facts=facts(seen),
        map_warnings=map_warnings(seen),
        histogram=_histogram(seen),
        with_region=with_region,
        without=without,
        pictures=pictures,
        version=__version__,
    )
    return path


def sheet(seen: MapInspection) -> tuple[list[int], list[int]]:
    """ImageSet to look at, those with a region and those without, each from the highest score down.

    Some of each are spread evenly over the ranking, and some lie where the one ends and the other
    begins: the lowest with a region and the highest without.
    """
    order = np.argsort(-seen.maxima, kind="stable")
    with_region, without = order[~seen.without[order]], order[seen.without[order]]
    border = np.arange(_N_AT_BORDER)
    return (
        _spread(with_region, len(with_region) - 1 - border),
        _spread(without, border),
    )


def _spread(ranking: NDArray[np.int64], besides: NDArray[np.int64]) -> list[int]:
    last = len(ranking) - 1
    places = np.concatenate([np.linspace(0, last, _N_SPREAD).round().astype(int), besides])
    return [int(index) for index in ranking[np.unique(places[(places >= 0) & (places <= last)])]]


def _histogram(seen: MapInspection) -> str:
    groups = [
        ("no region", 0, seen.maxima[seen.without]),
        ("with a region", 1, seen.maxima[~seen.without]),
    ]
    if len(seen.normal_maxima):
        groups.append(("normal images", 4, seen.normal_maxima))
    mark = (seen.score_range.low, f"floor {seen.score_range.low:.3g}")
    if seen.score_range.sound is not None:
        mark = (seen.score_range.sound, f"no region up to {seen.score_range.sound:.3g}")
    return log_histogram(
        groups, seen.edges(_N_SPANS), "highest score", mark, "Highest score of each map"
    )


def _pair(seen: MapInspection, images: ImageSet, index: int, bottom: float) -> tuple[str, str]:
    """The photograph and the map of a image as data URIs, regions outlined."""
    image = images.image(index)
    scale = PART_SIDE / max(image.shape[:2])
    mask = resize_mask(seen.masks[index], image.shape[:2])
    size = (image.shape[1], image.shape[0])
    scores = cv2.resize(seen.score_range.convert(seen.maps[index]), size)
    coloured = _coloured(np.asarray(scores), bottom, seen.score_range.low, seen.score_range.high)
    return coded(outlined(image, mask, scale)), coded(outlined(coloured, mask, scale))


def _coloured(
    scores: NDArray[np.float32], bottom: float, low: float, high: float
) -> NDArray[np.uint8]:
    """Scores up to `low` in grey, above it in colours from dark to bright; RGB, uint8."""
    below = (scores - bottom) / max(low - bottom, 1e-9)
    above = (scores - low) / max(high - low, 1e-9)
    heat = _DARKEST_HEAT + np.clip(above, 0, 1) * (255 - _DARKEST_HEAT)
    colours = cv2.applyColorMap(heat.astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = (np.clip(below, 0, 1) * _BRIGHTEST_GREY).astype(np.uint8)[..., None]
    picture: NDArray[np.uint8] = np.where(scores[..., None] > low, colours, grey)
    return picture
