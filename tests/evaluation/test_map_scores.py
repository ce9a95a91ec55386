"""AUROC and AUPRO from histograms, against exact values."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from anomalyncd.evaluation.metrics import (
    PixelHistograms,
    aupro,
    image_auroc,
    label_regions,
    pixel_auroc,
)

SHAPE = (3, 5, 6)
maps_of_integers = arrays(np.float32, SHAPE, elements=st.integers(-3, 9))
masks = arrays(np.bool_, SHAPE)


def counted(maps: np.ndarray, truths: np.ndarray, n_bins: int = 65536) -> PixelHistograms:
    histograms = PixelHistograms(float(maps.min()), float(maps.max()), n_bins)
    for scores, truth in zip(maps, truths, strict=True):
        histograms.add(scores, label_regions(truth))
    return histograms


def plain_aupro(maps: np.ndarray, truths: np.ndarray, limit: float) -> float:
    """By the definition: every region at every threshold."""
    regions = []
    for index, truth in enumerate(truths):
        labelled, count = ndimage.label(truth, np.ones((3, 3)))
        regions += [maps[index][labelled == number + 1] for number in range(count)]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        rates.append(float((maps[~truths] >= threshold).mean()))
        overlaps.append(float(np.mean([(region >= threshold).mean() for region in regions])))
    area = 0.0
    for (x0, y0), (x1, y1) in zip(
        zip(rates, overlaps, strict=True), zip(rates[1:], overlaps[1:], strict=True), strict=False
    ):
        end = min(x1, limit)
        if end > x0:
            y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + y_end) / 2
    return area / limit


@given(maps_of_integers, masks)
@settings(deadline=None)
def test_histograms_give_exact_values_where_bins_part_all_scores(
    maps: np.ndarray, truths: np.ndarray
) -> None:
    histograms = counted(maps, truths)
    if truths.all() or not truths.any():
        assert pixel_auroc(histograms) is None
        assert aupro(histograms) is None
        return
    exact = roc_auc_score(truths.ravel(), maps.ravel())
    assert pixel_auroc(histograms) == pytest.approx(exact, abs=1e-12)
    for limit in (0.3, 1.0):
        assert aupro(histograms, limit) == pytest.approx(plain_aupro(maps, truths, limit), abs=1e-9)


def test_smooth_scores_are_exact_up_to_the_bins() -> None:
    rng = np.random.default_rng(0)
    truths = rng.random((3, 20, 25)) > 0.97
    maps = (rng.normal(size=truths.shape) + 1.5 * truths).astype(np.float32)
    exact = roc_auc_score(truths.ravel(), maps.ravel())
    assert pixel_auroc(counted(maps, truths)) == pytest.approx(exact, abs=1e-5)
    assert pixel_auroc(counted(maps, truths, 4096)) == pytest.approx(exact, abs=1e-4)
    assert aupro(counted(maps, truths)) == pytest.approx(plain_aupro(maps, truths, 0.3), abs=1e-4)


def test_small_defects_count_as_much_as_large_ones() -> None:
    truth = np.zeros((20, 20), np.bool_)
    truth[:10, :10] = True
    truth[15, 15] = truth[16, 16] = True  # One region, since corners touch.
    scores = np.zeros(truth.shape, np.float32)
    scores[:10, :10] = 1
    histograms = counted(scores[None], truth[None])
    assert histograms.covered.sum() == pytest.approx(2)
    assert aupro(histograms) == pytest.approx(0.5 + 0.5 * 0.15)
    assert pixel_auroc(histograms) == pytest.approx((100 + 2 * 0.5) / 102)


def test_maps_are_brought_to_the_size_of_masks() -> None:
    truth = np.zeros((40, 40), np.bool_)
    truth[10:20, 20:30] = True
    scores = truth[::10, ::10].astype(np.float32)
    histograms = PixelHistograms(0, 1)
    histograms.add(scores, label_regions(truth))
    assert histograms.sound.sum() + histograms.defective.sum() == truth.size
    resized = cv2.resize(scores, (40, 40), interpolation=cv2.INTER_LINEAR)
    exact = roc_auc_score(truth.ravel(), resized.ravel())
    assert pixel_auroc(histograms) == pytest.approx(exact, abs=1e-6)


def test_one_score_everywhere_is_chance() -> None:
    truth = np.eye(4, dtype=np.bool_)[None]
    histograms = counted(np.ones((1, 4, 4), np.float32), truth)
    assert pixel_auroc(histograms) == 0.5


def test_images_are_ranked_by_their_maxima() -> None:
    scores = np.array([0.1, 0.4, 0.3, 0.9])
    defective = np.array([False, False, True, True])
    assert image_auroc(scores, defective) == 0.75
    assert image_auroc(scores, np.ones(4, np.bool_)) is None
    assert image_auroc(scores[:0], defective[:0]) is None
