"""Builds `inspect.html`, the page about anomaly maps and their regions."""

from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.images.image_set import ImageSet
from anomalyncd.regions.inspection import MapInspection, facts
from anomalyncd.regions.map_warnings import map_warnings
from anomalyncd.regions.table import resize_mask
from anomalyncd.report.axes import Mark
from anomalyncd.report.drawing import outlined
from anomalyncd.report.page import write_page
from anomalyncd.report.pictures import IMAGE_SIDE, coded
from anomalyncd.report.plots import log_histogram
from anomalyncd.runtime.progress import track

PAGE = "inspect.html"
_N_BINS = 24
_N_SPREAD, _N_AT_BORDER = 8, 4
_BRIGHTEST_GREY, _DARKEST_HEAT = 120, 96


def write_inspection(inspection: MapInspection, images: ImageSet, folder: str | Path) -> Path:
    """Writes a page about anomaly maps that loads nothing from elsewhere.

    Args:
        inspection: The maps and their regions.
        images: The images of the maps.
        folder: Made where it is missing.

    Returns:
        `folder/inspect.html`.
    """
    path = Path(folder).expanduser() / PAGE
    with_region, without_region = select_images(inspection)
    shown = [*with_region, *without_region]
    score_range, maps = inspection.score_range, inspection.maps
    lowest = min(float(score_range.convert(maps[index]).min()) for index in shown)
    pictures = {
        index: _pair(inspection, images, index, lowest) for index in track(shown, "Drawing images")
    }
    write_page(
        path,
        inspection=inspection,
        facts=facts(inspection),
        warnings=map_warnings(inspection),
        histogram=_histogram(inspection),
        with_region=with_region,
        without_region=without_region,
        pictures=pictures,
        version=version("anomalyncd"),
    )
    return path


def select_images(inspection: MapInspection) -> tuple[list[int], list[int]]:
    """Selects images with a region and images without one, each from the highest score down.

    Some are spread evenly over the ranking. The others are next to the border between the two: the
    lowest with a region and the highest without one.
    """
    order = np.argsort(-inspection.maxima, kind="stable")
    without = inspection.without_region[order]
    border = np.arange(_N_AT_BORDER)
    last = np.count_nonzero(~without) - 1
    return _select(order[~without], last - border), _select(order[without], border)


def _select(ranking: NDArray[np.int64], others: NDArray[np.int64]) -> list[int]:
    """Returns images at places spread evenly over a ranking, and at other places."""
    last = len(ranking) - 1
    places = np.concatenate([np.linspace(0, last, _N_SPREAD).round().astype(int), others])
    return [int(index) for index in ranking[np.unique(places[(places >= 0) & (places <= last)])]]


def _histogram(inspection: MapInspection) -> str:
    maxima, without = inspection.maxima, inspection.without_region
    groups = [("no region", 0, maxima[without]), ("with a region", 1, maxima[~without])]
    if len(inspection.normal_maxima):
        groups.append(("normal images", 4, inspection.normal_maxima))
    floor, peak = inspection.score_range.low, inspection.score_range.background_peak
    mark = Mark(floor, f"floor {floor:.3g}")
    if peak is not None:
        mark = Mark(peak, f"no region up to {peak:.3g}")
    edges = inspection.edges(_N_BINS)
    return log_histogram(groups, edges, "highest score", mark, "Highest score of each map")


def _pair(
    inspection: MapInspection, images: ImageSet, index: int, lowest: float
) -> tuple[str, str]:
    """Makes pictures of an image and of its map, regions outlined, as data URIs."""
    image = images.image(index)
    scale = IMAGE_SIDE / max(image.shape[:2])
    mask = resize_mask(inspection.masks[index], image.shape[:2])
    size = (image.shape[1], image.shape[0])
    score_range = inspection.score_range
    scores = np.asarray(cv2.resize(score_range.convert(inspection.maps[index]), size))
    coloured = _coloured(scores, lowest, score_range.low, score_range.high)
    return coded(outlined(image, mask, scale)), coded(outlined(coloured, mask, scale))


def _coloured(
    scores: NDArray[np.float32], lowest: float, low: float, high: float
) -> NDArray[np.uint8]:
    """Colours scores, grey up to `low` and from dark to bright colours above it; RGB, uint8."""
    below = (scores - lowest) / max(low - lowest, 1e-9)
    above = (scores - low) / max(high - low, 1e-9)
    heat = _DARKEST_HEAT + np.clip(above, 0, 1) * (255 - _DARKEST_HEAT)
    colours = cv2.applyColorMap(heat.astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = (np.clip(below, 0, 1) * _BRIGHTEST_GREY).astype(np.uint8)[..., None]
    picture: NDArray[np.uint8] = np.where(scores[..., None] > low, colours, grey)
    return picture
