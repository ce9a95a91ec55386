"""Scores of anomaly maps and of the regions of a run against true masks."""

from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import Truth, maps_of_run, truth_of_run
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
    """Shares, 0..1; None where the total is 0 or no true mask is known."""

    normal_with_region: float | None
    """Normal images with a region, of all normal images: the false positive rate."""
    defective_without_region: float | None
    """Defective images without a region, of all defective images: the false negative rate."""
    pixel_precision: float | None = None
    """Of the pixels of predicted masks, those within a defect."""
    pixel_recall: float | None = None
    """Of the pixels of defects, those in a predicted mask."""
    region_precision: float | None = None
    """Of the predicted regions, those that touch a defect: a pixel of the predicted mask within
    their box is within a defect."""
    region_recall: float | None = None
    """Of the 8-connected regions of the true masks, those with a pixel of a predicted mask."""


@dataclass(frozen=True)
class Overlap:
    """Counts of predicted and true pixels and regions; those of several images can be added."""

    predicted_pixels: int = 0
    true_pixels: int = 0
    shared_pixels: int = 0
    predicted_regions: int = 0
    predicted_regions_touching: int = 0
    true_regions: int = 0
    true_regions_touched: int = 0

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def mask_overlap(
    predicted: NDArray[np.bool_], regions: NDArray[np.int32], boxes: NDArray[np.float64]
) -> Overlap:
    """Compares the predicted mask and regions of one image with the true ones.

    Args:
        predicted: (h, w), any size; brought to (H, W) by nearest-neighbour interpolation.
        regions: (H, W), the true regions, see `label_regions`.
        boxes: (R, 4) of the predicted regions: left, top, right, bottom as shares of the image's
            width and height; they may leave the image.

    Returns:
        The counts, at the size of `regions`.
    """
    height, width = regions.shape
    at_size = predicted
    if predicted.shape != regions.shape:
        at_size = resize_mask(predicted, (height, width))
    region_of_pixel = regions[at_size]
    touched = np.unique(region_of_pixel[region_of_pixel > 0])
    shared = at_size & (regions > 0)
    touching = [bool(shared[inside].any()) for inside in inside_boxes(boxes, (height, width))]
    return Overlap(
        predicted_pixels=len(region_of_pixel),
        true_pixels=int(np.count_nonzero(regions)),
        shared_pixels=int(np.count_nonzero(region_of_pixel)),
        predicted_regions=len(boxes),
        predicted_regions_touching=sum(touching),
        true_regions=int(regions.max()),
        true_regions_touched=len(touched),
    )


def inside_boxes(boxes: NDArray[np.float64], shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Returns the pixels that each box touches.

    Args:
        boxes: See `mask_overlap`.
        shape: Height and width of the image, px.

    Returns:
        The rows and columns of each box.
    """
    height, width = shape
    corners = boxes * np.array([width, height, width, height])
    starts = np.maximum(np.floor(corners[:, :2]), 0).astype(int)
    ends = np.maximum(np.ceil(corners[:, 2:]), 0).astype(int)
    return [
        (slice(top, bottom), slice(left, right))
        for (left, top), (right, bottom) in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def mebin_quality(
    with_region: NDArray[np.bool_], defective: NDArray[np.bool_], overlap: Overlap | None = None
) -> MebinQuality:
    """Turns counts into shares.

    Args:
        with_region: (N,), whether an image has a predicted region.
        defective: (N,), whether it has a defect.
        overlap: Of the images with a true mask; None where no mask is known.
    """
    counts = overlap or Overlap()
    n_normal = int(np.count_nonzero(~defective))
    return MebinQuality(
        _share(int(np.count_nonzero(with_region & ~defective)), n_normal),
        _share(int(np.count_nonzero(defective & ~with_region)), len(defective) - n_normal),
        _share(counts.shared_pixels, counts.predicted_pixels),
        _share(counts.shared_pixels, counts.true_pixels),
        _share(counts.predicted_regions_touching, counts.predicted_regions),
        _share(counts.true_regions_touched, counts.true_regions),
    )


def _share(count: int, total: int) -> float | None:
    return count / total if total else None


def score_maps(maps: AnomalyMaps, truth: Truth) -> MapScores:
    """Scores anomaly maps; maps and true masks are read one at a time.

    Args:
        maps: One for each image; their ignored pixels count neither as normal nor as defective.
        truth: True masks and labels of the same images.

    Raises:
        InputError: A map or a mask cannot be read.
    """
    ranges = [(scores.min(), scores.max()) for scores in track(maps, "Reading maps", len(maps))]
    lowest, highest = np.array(ranges, np.float32).T
    histograms = PixelHistograms(float(lowest.min()), float(highest.max()))
    marked = np.zeros(len(maps), np.bool_)
    for index in track(range(len(maps)), "Scoring maps"):
        mask = truth.mask(index)
        if mask is None:
            continue
        marked[index] = mask.any()
        ignored = None if maps.ignored is None else maps.ignored.at_size(index, mask.shape)
        histograms.add(maps[index], label_regions(mask), ignored)
    defective, known = truth.defective(marked)
    by_image = image_auroc(highest[known], defective[known])
    return MapScores(by_image, pixel_auroc(histograms), aupro(histograms))


@dataclass(frozen=True)
class MapEvaluation:
    """Scores of the regions and of the maps of a run."""

    mebin: MebinQuality
    """Of its regions."""
    maps: MapScores | None
    """Of its maps; None where they have been moved or deleted."""
    n_unmarked: int
    """With true masks: images whose mask is empty although their label does not name the normal
    class. They count for no pixel and no region."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers: `maps`, where they are known, and `mebin`."""
        maps = {} if self.maps is None else {"maps": asdict(self.maps)}
        return maps | {"mebin": asdict(self.mebin)}


def evaluate_maps(run: Run, masks: MasksLike | None = None) -> MapEvaluation | None:
    """Scores the maps and the regions of a run.

    Args:
        run: A finished run.
        masks: True masks, a folder or a manifest; by default those beside the images, see
            `truth_of_run`.

    Returns:
        The scores; None where neither masks nor labels are known, or where the run was made from
        given masks instead of maps.

    Raises:
        InputError: `masks` do not fit the images, or something cannot be read. Without `masks`
            nothing is raised.
    """
    if masks is not None:
        return _evaluate_run(run, masks)
    try:
        return _evaluate_run(run, None)
    except InputError:
        return None


def _evaluate_run(run: Run, masks: MasksLike | None) -> MapEvaluation | None:
    if not run.counts.shape[1]:
        if masks is None:
            return None
        raise InputError(f"run '{run.folder}' was made from given masks; it has no maps to score")
    truth = truth_of_run(run, masks)
    if truth is None:
        return None
    maps = maps_of_run(run)
    quality, n_unmarked = _score_regions(run, truth)
    return MapEvaluation(quality, None if maps is None else score_maps(maps, truth), n_unmarked)


def _score_regions(run: Run, truth: Truth) -> tuple[MebinQuality, int]:
    """Returns the scores, and the number of images with a defect that is not marked."""
    marked, placed = np.zeros((2, len(run.images)), np.bool_)
    boxes, overlap = relative_boxes(run), Overlap()
    for index, name in enumerate(track(run.images["name"], "Scoring regions")):
        mask = truth.mask(index)
        if mask is None:
            continue
        placed[index], marked[index] = True, mask.any()
        if name in boxes:
            overlap += mask_overlap(run.mask(name), label_regions(mask), boxes[name])
        elif marked[index]:
            overlap += mask_overlap(np.zeros_like(mask), label_regions(mask), np.zeros((0, 4)))
    defective, known = truth.defective(marked)
    with_region = run.images["n_regions"].to_numpy() > 0
    quality = mebin_quality(with_region[known], defective[known], overlap)
    return quality, 0 if truth.masks is None else int(np.count_nonzero(~placed))


def relative_boxes(run: Run) -> dict[str, NDArray[np.float64]]:
    """Returns the boxes of the found regions by image, as shares of the image's width and height.

    Args:
        run: A finished run.

    Returns:
        Name of the image to the boxes (R, 4) in the order of the table, see `mask_overlap`.
    """
    found = run.regions[run.regions["found"]]
    sizes = run.images.set_index("name").loc[found["name"], ["width", "height"]].to_numpy()
    shares = found[["left", "top", "right", "bottom"]].to_numpy() / np.tile(sizes, 2)
    groups = found.reset_index(drop=True).groupby("name").indices
    return {str(name): shares[rows] for name, rows in groups.items()}
