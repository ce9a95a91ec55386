"""What MEBin makes of anomaly maps, part by part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.inputs import Inputs
from anomalyncd.data.maps import Maps
from anomalyncd.progress import track
from anomalyncd.regions.finding import Found, regions_of_maps
from anomalyncd.regions.masks import CodedMasks
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.settings import MebinSettings, Settings
from anomalyncd.steps import bound_scores


@dataclass(frozen=True, eq=False)
class Inspection:
    """Anomaly maps of N parts and the regions that a discovery would find in them."""

    maps: Maps
    """One a part."""
    bounds: ScoreRange
    """The range of their scores."""
    found: Found
    """Regions, and what is marked."""
    masks: CodedMasks
    """One a part: what is marked where it stands out."""
    settings: MebinSettings
    """How they were found."""
    maxima: NDArray[np.float64]
    """(N,): highest score of each map, in the unit of `bounds`."""
    n_different: NDArray[np.int64]
    """(N,): how many different scores each map holds."""
    sides: NDArray[np.float64]
    """(N,): side of the square with as many pixels as the map, px."""
    n_regions: NDArray[np.int64]
    """(N,): regions of each part."""
    covered: NDArray[np.float64]
    """(N,): share of each map that its regions cover, 0..1."""
    at_edge: NDArray[np.bool_]
    """(N,): whether a region of the part touches the edge of the picture."""
    normal_maxima: NDArray[np.float64]
    """(M,): highest score of the map of each normal part; M = 0 where none was given."""

    def __len__(self) -> int:
        return len(self.maxima)

    @property
    def without(self) -> NDArray[np.bool_]:
        """(N,): which parts have no region."""
        return np.equal(self.n_regions, 0)

    @property
    def median_covered(self) -> float:
        """Median of `covered` over the parts with a region; 0 where there is none."""
        covered = self.covered[~self.without]
        return float(np.median(covered)) if len(covered) else 0.0

    @property
    def highest(self) -> int:
        """The part with the highest score."""
        return int(self.maxima.argmax())

    def edges(self, count: int) -> NDArray[np.float64]:
        """(count + 1,), ascending: ends of equal spans that hold all maxima and the floor."""
        scores = np.array([*self.maxima, *self.normal_maxima, self.bounds.low])
        low, high = scores.min(), scores.max()
        least = max(1e-6 * float(np.abs(scores).max()), 1e-12)
        return np.linspace(low, max(high, low + least), count + 1)

    @property
    def origin_of_floor(self) -> str:
        """How the lower end of the score range came about, in words."""
        if self.settings.rules == "paper":
            return "the lowest maximum of all maps, as published"
        if self.settings.floor is not None:
            return "as set"
        if len(self.normal_maxima):
            return f"the median of the maxima of {len(self.normal_maxima)} normal parts"
        return "derived from the maps of the parts"


def inspect_maps(inputs: Inputs, settings: Settings) -> Inspection:
    """Finds the score range and the regions of maps as a discovery does.

    Args:
        inputs: Parts with their maps, and normal maps where there are some.
        settings: As for the discovery.
    """
    assert inputs.maps is not None
    bounded = bound_scores(inputs.maps, inputs.normal_maps, settings.mebin)
    maps, bounds = bounded.maps, bounded.bounds
    assert maps is not None
    assert bounds is not None
    found = regions_of_maps(maps, inputs.sizes, bounds, settings.mebin, settings.regions)
    maxima, n_different, sides, covered, at_edge = [], [], [], [], []
    masks = found.masks_found
    for index, anomaly_map in enumerate(track(maps, "Reading maps", len(maps))):
        mask = masks[index]
        maxima.append(bounds.convert(anomaly_map).max())
        n_different.append(len(np.unique(anomaly_map)))
        sides.append(anomaly_map.size**0.5)
        covered.append(mask.mean())
        at_edge.append(mask[[0, -1]].any() or mask[:, [0, -1]].any())
    normal_maxima = [bounds.convert(one).max() for one in inputs.normal_maps or ()]
    return Inspection(
        maps,
        bounds,
        found,
        masks,
        settings.mebin,
        np.array(maxima, float),
        np.array(n_different),
        np.array(sides),
        np.bincount(found.regions.image[found.regions.found], minlength=len(maps)),
        np.array(covered),
        np.array(at_edge),
        np.array(normal_maxima, float),
    )
