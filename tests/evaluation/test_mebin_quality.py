"""What MEBin found, laid over the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomalyncd.evaluation.map_evaluation import (
    Overlap,
    mask_overlap,
    mebin_quality,
)
from anomalyncd.evaluation.metrics import label_regions


def test_regions_and_pixels_are_counted() -> None:
    truth, found = np.zeros((2, 20, 40), np.bool_)
    truth[0:4, 0:4] = truth[10:14, 20:24] = True  # The second one is missed.
    found[2:6, 2:6] = found[0:2, 30:32] = True  # The second one is none.
    boxes = np.array([[-0.1, -0.2, 0.2, 0.4], [0.7, 0, 0.9, 0.2]])
    overlap = mask_overlap(found, label_regions(truth), boxes)
    assert overlap == Overlap(20, 32, 4, 2, 1, 2, 1)
    quality = mebin_quality(np.array([True]), np.array([True]), overlap + overlap)
    assert (quality.pixel_precision, quality.pixel_recall) == (0.2, 0.125)
    assert (quality.region_precision, quality.region_recall) == (0.5, 0.5)
    assert (quality.normal_with_region, quality.defective_without_region) == (None, 0)


def test_a_box_that_reaches_a_defect_does_not_find_it() -> None:
    truth, found = np.zeros((2, 10, 10), np.bool_)
    truth[0, 0] = found[9, 9] = True
    overlap = mask_overlap(found, label_regions(truth), np.array([[0, 0, 1, 1.0]]))
    assert (overlap.found_regions_touching, overlap.true_regions_touched) == (0, 0)


def test_masks_are_compared_at_the_size_of_the_true_one() -> None:
    truth, found = np.zeros((40, 80), np.bool_), np.zeros((10, 20), np.bool_)
    truth[8:16, 8:16] = found[2:4, 2:4] = True
    overlap = mask_overlap(found, label_regions(truth), np.array([[0.1, 0.2, 0.2, 0.4]]))
    assert overlap == Overlap(64, 64, 64, 1, 1, 1, 1)


def test_images_are_counted_without_masks() -> None:
    with_region = np.array([True, False, False, False, True, True, False])
    defective = np.array([False, False, False, False, True, True, True])
    quality = mebin_quality(with_region, defective)
    assert quality.normal_with_region == 0.25
    assert quality.defective_without_region == pytest.approx(1 / 3)
    assert quality.pixel_recall is None
    assert quality.region_precision is None


masks = arrays(np.bool_, (6, 7))


@given(masks, masks, st.booleans())
def test_shares_lie_within_bounds(found: np.ndarray, truth: np.ndarray, whole: bool) -> None:
    boxes = np.array([[0, 0, 1, 1.0]]) if whole else np.zeros((0, 4))
    one = mask_overlap(found, label_regions(truth), boxes)
    assert one.shared_pixels == np.count_nonzero(found & truth)
    assert one.true_regions_touched <= min(one.true_regions, one.shared_pixels)
    assert one.found_regions_touching == (whole and bool((found & truth).any()))
