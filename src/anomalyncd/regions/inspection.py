"""What MEBin makes of anomaly maps, image by image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config, MebinConfig
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.regions.finding import regions_of_maps
from anomalyncd.regions.score_range import ScoreRange, fit_score_range
from anomalyncd.regions.table import CodedMasks, Regions
from anomalyncd.runtime.progress import track


@dataclass(frozen=True, eq=False)
class MapInspection:
    """Anomaly maps of N images and the regions that a discovery would find in them."""

    maps: AnomalyMaps
    """One a image."""
    score_range: ScoreRange
    """The range of their scores."""
    regions: Regions
    """Regions, and what is marked."""
    masks: CodedMasks
    """One a image: what is marked where it stands out."""
    config: MebinConfig
    """How they were found."""
    maxima: NDArray[np.float64]
    """(N,): highest score of each map, in the unit of `score_range`."""
    n_different: NDArray[np.int64]
    """(N,): how many different scores each map holds."""
    sides: NDArray[np.float64]
    """(N,): side of the square with as many pixels as the map, px."""
    n_regions: NDArray[np.int64]
    """(N,): regions of each image."""
    covered: NDArray[np.float64]
    """(N,): share of each map that its regions cover, 0..1."""
    at_edge: NDArray[np.bool_]
    """(N,): whether a region of the image touches the edge of the picture."""
    normal_maxima: NDArray[np.float64]
    """(M,): highest score of the map of each normal image; M = 0 where none was given."""

    def __len__(self) -> int:
        return len(self.maxima)

    @property
    def without(self) -> NDArray[np.bool_]:
        """(N,): which parts have no region."""
        return np.equal(self.n_regions, 0)

    @property
    def median_covered(self) -> float:
        """Median of `covered` over the images with a region; 0 where there is none."""
        covered = self.covered[~self.without]
        return float(np.median(covered)) if len(covered) else 0.0

    @property
    def highest(self) -> int:
        """The image with the highest score."""
        return int(self.maxima.argmax())

    def edges(self, count: int) -> NDArray[np.float64]:
        """(count + 1,), ascending: ends of equal spans that hold all maxima and the floor."""
        scores = np.array([*self.maxima, *self.normal_maxima, self.score_range.low])
        low, high = scores.min(), scores.max()
        least = max(1e-6 * float(np.abs(scores).max()), 1e-12)
        return np.linspace(low, max(high, low + least), count + 1)

    @property
    def origin_of_floor(self) -> str:
        """How the lower end of the score range came about, in words."""
        if self.config.rules == "paper":
            return "the lowest maximum of all maps, as published"
        if self.config.floor is not None:
            return "as set"
        if len(self.normal_maxima):
            return f"the median of the maxima of {len(self.normal_maxima)} normal images"
        return "derived from the maps of the images"


def inspect_maps(inputs: Inputs, config: Config) -> MapInspection:
    """Finds the score range and the regions of maps as a discovery does.

    Args:
        inputs: ImageSet with their maps, and normal maps where there are some.
        config: As for the discovery.
    """
    assert inputs.maps is not None
    maps = inputs.maps
    score_range = fit_score_range(maps, config.mebin, inputs.normal_maps)
    regions = regions_of_maps(maps, inputs.sizes, score_range, config.mebin, config.regions)
    maxima, n_different, sides, covered, at_edge = [], [], [], [], []
    masks = regions.masks_found
    for index, anomaly_map in enumerate(track(maps, "Reading maps", len(maps))):
        mask = masks[index]
        maxima.append(score_range.convert(anomaly_map).max())
        n_different.append(len(np.unique(anomaly_map)))
        sides.append(anomaly_map.size**0.5)
        covered.append(mask.mean())
        at_edge.append(mask[[0, -1]].any() or mask[:, [0, -1]].any())
    normal_maxima = [score_range.convert(one).max() for one in inputs.normal_maps or ()]
    return MapInspection(
        maps,
        score_range,
        regions,
        masks,
        config.mebin,
        np.array(maxima, float),
        np.array(n_different),
        np.array(sides),
        np.bincount(regions.image[regions.found], minlength=len(maps)),
        np.array(covered),
        np.array(at_edge),
        np.array(normal_maxima, float),
    )


def facts(seen: MapInspection) -> list[tuple[str, str]]:
    """Pairs of a word and what there is to say of it.

    Args:
        seen: All maps and their regions.
    """
    n_without, name = int(seen.without.sum()), seen.maps.names[seen.highest]
    said = [
        ("floor", f"{seen.score_range.low:.4g}, {seen.origin_of_floor}"),
        *_sound(seen),
        ("top", f"{seen.score_range.high:.4g}, the highest score of all maps ('{name}')"),
        (
            "without a region",
            f"{n_without} of {len(seen)} images ({_percent(n_without / len(seen))})",
        ),
        ("regions a image", _regions_a_part(seen)),
    ]
    if not seen.without.all():
        widest = float(seen.covered.max())
        said.append(
            (
                "regions cover",
                f"{_percent(seen.median_covered)} of the picture at the median, "
                f"{_percent(widest)} at most",
            )
        )
    return said


def _sound(seen: MapInspection) -> list[tuple[str, str]]:
    if seen.score_range.sound is None:
        return []
    share = _percent(seen.config.background_quantile)
    surfaces = "normal images" if len(seen.normal_maxima) else "maps beside their main element"
    words = f"{seen.score_range.sound:.4g}, which {share} of the {surfaces} do not exceed"
    return [("no region up to", words)]


def _regions_a_part(seen: MapInspection) -> str:
    most = 4
    counts = np.bincount(np.minimum(seen.n_regions, most), minlength=most + 1)
    words = ("", "1", "2", "3", f"{most} or more")
    said = [f"{words[n]} on {_parts(counts[n])}" for n in range(1, most + 1) if counts[n]]
    return ", ".join(said) or "none on any"


def _parts(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
