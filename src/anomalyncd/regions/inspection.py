"""Statistics of anomaly maps and of the regions that MEBin finds in them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config, MebinConfig
from anomalyncd.detection.tiles import chosen_tile_side
from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.regions.finding import regions_of_inputs
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.regions.table import CodedMasks, Regions
from anomalyncd.regions.windows import (
    fit_score_range_of,
    with_looked_at_side,
)
from anomalyncd.runtime.progress import track
from anomalyncd.runtime.wording import counted


@dataclass(frozen=True, eq=False)
class MapInspection:
    """Anomaly maps of N images and the regions that a discovery finds in them."""

    maps: AnomalyMaps
    """One for each image."""
    score_range: ScoreRange
    """The range of their scores."""
    regions: Regions
    """The regions of all images."""
    masks: CodedMasks
    """One for each image; empty for an image without an anomalous region."""
    config: MebinConfig
    """How the maps were binarised."""
    maxima: NDArray[np.float64]
    """(N,): highest score of each map, in the unit of `score_range`."""
    n_different: NDArray[np.int64]
    """(N,): number of different scores in each map."""
    sides: NDArray[np.float64]
    """(N,): side of the square with as many pixels as the map, px."""
    n_regions: NDArray[np.int64]
    """(N,): number of anomalous regions of each image."""
    covered: NDArray[np.float64]
    """(N,): share of each map that its regions cover, 0..1."""
    at_edge: NDArray[np.bool_]
    """(N,): whether a region touches the edge of the image."""
    normal_maxima: NDArray[np.float64]
    """(M,): highest score of the map of each normal image; M = 0 without normal maps."""
    warnings: tuple[str, ...] = ()
    """Warnings about the images and maps alone."""

    def __len__(self) -> int:
        return len(self.maxima)

    @property
    def without_region(self) -> NDArray[np.bool_]:
        """(N,): which images have no region."""
        return np.equal(self.n_regions, 0)

    @property
    def median_covered(self) -> float:
        """Median of `covered` over the images with a region; 0 without such an image."""
        covered = self.covered[~self.without_region]
        return float(np.median(covered)) if len(covered) else 0.0

    @property
    def highest(self) -> int:
        """Index of the image with the highest score."""
        return int(self.maxima.argmax())

    def edges(self, count: int) -> NDArray[np.float64]:
        """Returns the edges of equal bins around all maxima and the floor, (count + 1,)."""
        scores = np.array([*self.maxima, *self.normal_maxima, self.score_range.low])
        low, high = scores.min(), scores.max()
        least_span = max(1e-6 * float(np.abs(scores).max()), 1e-12)
        return np.linspace(low, max(high, low + least_span), count + 1)

    @property
    def origin_of_floor(self) -> str:
        """Where the lower end of the score range comes from, in words."""
        if self.config.rules == "paper":
            return "the lowest maximum of all maps (published rule)"
        if self.config.floor is not None:
            return "from the config"
        if len(self.normal_maxima):
            return f"the median of the maxima of {len(self.normal_maxima)} normal images"
        return "derived from the maps of the images"


def inspect_maps(inputs: Inputs, config: Config) -> MapInspection:
    """Finds the score range and the regions of maps as a discovery does.

    Args:
        inputs: Images with their maps, and normal maps where there are some.
        config: As for the discovery.

    Raises:
        InputError: The inputs hold no maps.
    """
    maps = inputs.maps
    if maps is None:
        raise InputError("there are no anomaly maps to inspect; give `maps`")
    config = with_looked_at_side(config, chosen_tile_side(inputs.sizes, config.detector))
    score_range = fit_score_range_of(maps, inputs.sizes, config, inputs.normal_maps)
    regions = regions_of_inputs(replace(inputs, masks=None), maps, score_range, config)
    return inspect_regions(inputs, config.mebin, score_range, regions)


def inspect_regions(
    inputs: Inputs, config: MebinConfig, score_range: ScoreRange, regions: Regions
) -> MapInspection:
    """Collects statistics of maps and of the regions that were found in them.

    Args:
        inputs: Images with their maps, and normal maps where there are some.
        config: How the maps were binarised.
        score_range: The range of their scores.
        regions: Their regions.
    """
    maps = inputs.maps
    assert maps is not None
    maxima, n_different, sides, covered, at_edge = [], [], [], [], []
    masks = regions.masks_found
    for index, anomaly_map in enumerate(track(maps, "Reading maps", len(maps))):
        mask = masks[index]
        maxima.append(score_range.convert(anomaly_map).max())
        n_different.append(len(np.unique(anomaly_map)))
        sides.append(anomaly_map.size**0.5)
        covered.append(mask.mean())
        at_edge.append(mask[[0, -1]].any() or mask[:, [0, -1]].any())
    normal_maxima = [score_range.convert(normal).max() for normal in inputs.normal_maps or ()]
    return MapInspection(
        maps,
        score_range,
        regions,
        masks,
        config,
        np.array(maxima, float),
        np.array(n_different),
        np.array(sides),
        np.bincount(regions.image[regions.found], minlength=len(maps)),
        np.array(covered),
        np.array(at_edge),
        np.array(normal_maxima, float),
        inputs.warnings,
    )


def facts(inspection: MapInspection) -> list[tuple[str, str]]:
    """Describes the score range and the regions in pairs of a label and a value.

    Args:
        inspection: All maps and their regions.
    """
    n_without, n_images = int(inspection.without_region.sum()), len(inspection)
    score_range, highest = inspection.score_range, inspection.maps.names[inspection.highest]
    pairs = [("floor", f"{score_range.low:.4g}, {inspection.origin_of_floor}")]
    if score_range.background_peak is not None:
        pairs.append(("no region up to", _background_peak(inspection, score_range.background_peak)))
    pairs += [
        ("top", f"{score_range.high:.4g}, the highest score of all maps ('{highest}')"),
        (
            "without a region",
            f"{n_without} of {n_images} images ({_percent(n_without / n_images)})",
        ),
        ("regions per image", _regions_per_image(inspection)),
    ]
    if n_without < n_images:
        median, largest = inspection.median_covered, float(inspection.covered.max())
        cover = f"{_percent(median)} of the image at the median, {_percent(largest)} at most"
        pairs.append(("regions cover", cover))
    return pairs


def _background_peak(inspection: MapInspection, peak: float) -> str:
    share = _percent(inspection.config.background_quantile)
    has_normals = len(inspection.normal_maxima) > 0
    maps = "normal images" if has_normals else "maps outside their main element"
    return f"{peak:.4g}, which {share} of the {maps} do not exceed"


def _regions_per_image(inspection: MapInspection) -> str:
    most = 4
    counts = np.bincount(np.minimum(inspection.n_regions, most), minlength=most + 1)
    numbers = ("", "1", "2", "3", f"{most} or more")
    groups = [f"{numbers[n]} on {_images(counts[n])}" for n in range(1, most + 1) if counts[n]]
    return ", ".join(groups) or "none on any"


def _images(count: int) -> str:
    return counted(count, "image")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
