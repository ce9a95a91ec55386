"""How well MEBin's masks and regions meet the true ones."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.regions.table import resize_mask


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
