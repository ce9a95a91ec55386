"""Scores of a run's maps, and of what MEBin made of them."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.inputs import MasksLike
from anomalyncd.data.maps import Maps
from anomalyncd.errors import InputError
from anomalyncd.evaluation.map_scores import (
    MapScores,
    PixelHistograms,
    aupro,
    image_auroc,
    label_regions,
    pixel_auroc,
)
from anomalyncd.evaluation.mebin_quality import (
    MebinQuality,
    Overlap,
    mask_overlap,
    mebin_quality,
)
from anomalyncd.evaluation.truth import Truth, maps_of_run, truth_of_run
from anomalyncd.finished_run import FinishedRun
from anomalyncd.progress import track


@dataclass(frozen=True)
class MapEvaluation:
    """How well a run's maps and regions meet the truth."""

    mebin: MebinQuality
    """Of its regions."""
    maps: MapScores | None
    """Of its maps; None where they are not to be found any more."""
    n_unplaced: int
    """Where masks are known: parts that are called defective, or nothing, and on which nothing is
    marked; they count for no pixel and no region."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers: `maps` and `mebin`, each only where known."""
        maps = {} if self.maps is None else {"maps": asdict(self.maps)}
        return maps | {"mebin": asdict(self.mebin)}


def evaluate_maps(run: FinishedRun, masks: MasksLike | None = None) -> MapEvaluation | None:
    """Scores the maps and the regions of a run; maps and masks are read one at a time.

    Args:
        run: A finished run.
        masks: True masks, a folder or a manifest; by default those that lie beside the parts, see
            `truth_of_run`.

    Returns:
        The scores; None where nothing is known to score against, or where defects were marked by
        people in place of maps.

    Raises:
        InputError: Masks were given and do not fit, or something cannot be read. Without masks
            nothing is raised.
    """
    if masks is not None:
        return _evaluated(run, masks)
    try:
        return _evaluated(run, None)
    except InputError:
        return None


def _evaluated(run: FinishedRun, masks: MasksLike | None) -> MapEvaluation | None:
    if not run.counts.shape[1]:
        if masks is None:
            return None
        raise InputError(
            f"run '{run.folder}' was made from marked defects; it has no maps to be scored"
        )
    truth = truth_of_run(run, masks)
    if truth is None:
        return None
    maps = maps_of_run(run)
    peaks, histograms = (None, None) if maps is None else _first_pass(maps)
    marked, placed, overlap = _second_pass(run, truth, maps, histograms)
    defective, known = truth.states(marked)
    with_region = run.images["n_regions"].to_numpy() > 0
    scores = None
    if peaks is not None and histograms is not None:
        by_image = image_auroc(peaks[known], defective[known])
        scores = MapScores(by_image, pixel_auroc(histograms), aupro(histograms))
    quality = mebin_quality(with_region[known], defective[known], overlap)
    n_unplaced = 0 if truth.masks is None else int(np.count_nonzero(~placed))
    return MapEvaluation(quality, scores, n_unplaced)


def _first_pass(maps: Maps) -> tuple[NDArray[np.float32], PixelHistograms]:
    """The maximum of each map, (N,), and empty histograms over the range of all scores."""
    ends = [(scores.min(), scores.max()) for scores in track(maps, "Reading maps", len(maps))]
    lowest, highest = np.array(ends, np.float32).T
    return highest, PixelHistograms(float(lowest.min()), float(highest.max()))


def _second_pass(
    run: FinishedRun, truth: Truth, maps: Maps | None, histograms: PixelHistograms | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Overlap]:
    """Counts pixels; returns which parts are marked, for which a mask is known, and the overlap."""
    marked, placed = np.zeros((2, len(run.images)), np.bool_)
    boxes, overlap = _boxes(run), Overlap()
    for index in track(range(len(marked)), "Scoring maps"):
        mask = truth.mask(index)
        if mask is None:
            continue
        placed[index], marked[index] = True, mask.any()
        regions = label_regions(mask)
        if maps is not None and histograms is not None:
            places = maps.ignored
            ignored = None if places is None else places.at_size(index, regions.shape)
            histograms.add(maps[index], regions, ignored)
        name = str(run.images["name"].iloc[index])
        if name in boxes:
            overlap += mask_overlap(run.mask(name), regions, boxes[name])
        elif marked[index]:
            overlap += mask_overlap(np.zeros_like(mask), regions, np.zeros((0, 4)))
    return marked, placed, overlap


def _boxes(run: FinishedRun) -> dict[str, NDArray[np.float64]]:
    """Boxes of the regions found, by part, as shares of the width and height of the image."""
    found = run.regions[run.regions["found"]]
    sizes = run.images.set_index("name").loc[found["name"], ["width", "height"]].to_numpy()
    shares = found[["left", "top", "right", "bottom"]].to_numpy() / np.tile(sizes, 2)
    groups = found.reset_index(drop=True).groupby("name").indices
    return {str(name): shares[rows] for name, rows in groups.items()}
