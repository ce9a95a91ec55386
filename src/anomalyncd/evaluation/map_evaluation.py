"""How well MEBin's masks and regions meet the true ones."""

from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import (
    Truth,
    maps_of_run,
    truth_of_run,
)
from anomalyncd.evaluation.metrics import (
    MapScores,
    PixelHistograms,
    aupro,
    image_auroc,
    label_regions,
    pixel_auroc,
)
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import MasksLike
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.progress import track


@dataclass(frozen=True)
class MebinQuality:
    """Shares, 0..1; None where there is nothing to take a share of, or no true mask is known."""

    normal_with_region: float | None
    """Normal images with a region, of all normal images: the false positive rate."""
    defective_without_region: float | None
    """Defective images without a region, of all defective images: the false negative rate."""
    pixel_precision: float | None = None
    """Of the pixels that were found, those within a defect."""
    pixel_recall: float | None = None
    """Of the pixels of defects, those that were found."""
    region_precision: float | None = None
    """Of the regions that were found, those that touch a defect: within their box a pixel that was
    found lies within a defect."""
    region_recall: float | None = None
    """Of the 8-connected regions of the true masks, those with a pixel that was found."""


@dataclass(frozen=True)
class Overlap:
    """What was found and what is true, counted; overlaps of several images can be added."""

    found_pixels: int = 0
    true_pixels: int = 0
    shared_pixels: int = 0
    found_regions: int = 0
    found_regions_touching: int = 0
    true_regions: int = 0
    true_regions_touched: int = 0

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def mask_overlap(
    found: NDArray[np.bool_], regions: NDArray[np.int32], boxes: NDArray[np.float64]
) -> Overlap:
    """Lays what was found on one image over what is true.

    Args:
        found: (h, w), any size; brought to (H, W) by nearest neighbours.
        regions: (H, W), the true regions, see `label_regions`.
        boxes: (R, 4) of the regions found: left, top, right, bottom as shares of the image's width
            and height; they may leave the image.

    Returns:
        The counts, at the size of `regions`.
    """
    height, width = regions.shape
    at_size = found if found.shape == regions.shape else resize_mask(found, (height, width))
    owners = regions[at_size]
    touched = np.unique(owners[owners > 0])
    shared = at_size & (regions > 0)
    corners = boxes * np.array([width, height, width, height])
    starts = np.maximum(np.floor(corners[:, :2]), 0).astype(int)
    ends = np.ceil(corners[:, 2:]).astype(int)
    touching = [
        bool(shared[top:bottom, left:right].any())
        for (left, top), (right, bottom) in zip(starts, ends, strict=True)
    ]
    return Overlap(
        found_pixels=len(owners),
        true_pixels=int(np.count_nonzero(regions)),
        shared_pixels=int(np.count_nonzero(owners)),
        found_regions=len(boxes),
        found_regions_touching=sum(touching),
        true_regions=int(regions.max()),
        true_regions_touched=len(touched),
    )


def mebin_quality(
    with_region: NDArray[np.bool_], defective: NDArray[np.bool_], overlap: Overlap | None = None
) -> MebinQuality:
    """Makes shares of counts.

    Args:
        with_region: (N,), whether anything was found on an image.
        defective: (N,), whether it has a defect.
        overlap: Of the images whose defects are marked; None where no mask is known.
    """
    o = overlap or Overlap()
    n_normal = int(np.count_nonzero(~defective))
    return MebinQuality(
        _share(int(np.count_nonzero(with_region & ~defective)), n_normal),
        _share(int(np.count_nonzero(defective & ~with_region)), len(defective) - n_normal),
        _share(o.shared_pixels, o.found_pixels),
        _share(o.shared_pixels, o.true_pixels),
        _share(o.found_regions_touching, o.found_regions),
        _share(o.true_regions_touched, o.true_regions),
    )


def _share(count: int, total: int) -> float | None:
    return count / total if total else None


@dataclass(frozen=True)
class MapEvaluation:
    """How well a run's maps and regions meet the truth."""

    mebin: MebinQuality
    """Of its regions."""
    maps: MapScores | None
    """Of its maps; None where they are not to be found any more."""
    n_unplaced: int
    """Where masks are known: images that are called defective, or nothing, and on which nothing is
    marked; they count for no pixel and no region."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers: `maps` and `mebin`, each only where known."""
        maps = {} if self.maps is None else {"maps": asdict(self.maps)}
        return maps | {"mebin": asdict(self.mebin)}


def evaluate_maps(run: Run, masks: MasksLike | None = None) -> MapEvaluation | None:
    """Scores the maps and the regions of a run; maps and masks are read one at a time.

    Args:
        run: A finished run.
        masks: True masks, a folder or a manifest; by default those that lie beside the images, see
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


def _evaluated(run: Run, masks: MasksLike | None) -> MapEvaluation | None:
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


def _first_pass(maps: AnomalyMaps) -> tuple[NDArray[np.float32], PixelHistograms]:
    """The maximum of each map, (N,), and empty histograms over the range of all scores."""
    ends = [(scores.min(), scores.max()) for scores in track(maps, "Reading maps", len(maps))]
    lowest, highest = np.array(ends, np.float32).T
    return highest, PixelHistograms(float(lowest.min()), float(highest.max()))


def _second_pass(
    run: Run, truth: Truth, maps: AnomalyMaps | None, histograms: PixelHistograms | None
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


def _boxes(run: Run) -> dict[str, NDArray[np.float64]]:
    """Boxes of the regions found, by image, as shares of the width and height of the image."""
    found = run.regions[run.regions["found"]]
    sizes = run.images.set_index("name").loc[found["name"], ["width", "height"]].to_numpy()
    shares = found[["left", "top", "right", "bottom"]].to_numpy() / np.tile(sizes, 2)
    groups = found.reset_index(drop=True).groupby("name").indices
    return {str(name): shares[rows] for name, rows in groups.items()}
