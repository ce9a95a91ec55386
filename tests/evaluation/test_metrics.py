"""Scores of classes, and AUROC and AUPRO from histograms, against exact values."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from sklearn.metrics import f1_score, roc_auc_score

from anomalyncd.errors import InputError
from anomalyncd.evaluation.metrics import (
    PixelHistograms,
    aupro,
    cluster_scores,
    confusion,
    image_auroc,
    label_regions,
    match_classes,
    pixel_auroc,
)

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "metrics_and_merging.json").read_text("utf-8")
)
SCORED = [case for case in GOLDEN if "y_true" in case]
TRUE = ["good"] * 5 + ["scratch"] * 4 + ["dent"] * 2
PREDICTED = [1, 1, 1, 1, 0, 0, 0, 0, 1, 2, 2]


def test_published_values() -> None:
    assert len(SCORED) == 3
    for case in SCORED:
        scores = cluster_scores(case["y_true"], case["y_pred"])
        assert scores.nmi == pytest.approx(case["nmi"], abs=1e-12)
        assert scores.ari == pytest.approx(case["ari"], abs=1e-12)
        assert scores.f1 == pytest.approx(case["f1"], abs=1e-12)


def test_perfect_clustering_under_other_names() -> None:
    predicted = [{"good": 7, "scratch": 3, "dent": 5}[name] for name in TRUE]
    scores = cluster_scores(TRUE, predicted)
    assert (scores.nmi, scores.ari, scores.f1) == pytest.approx((1, 1, 1))


def test_matching_names_predicted_classes() -> None:
    assert match_classes(TRUE, PREDICTED) == {2: "dent", 1: "good", 0: "scratch"}
    assert cluster_scores(TRUE, PREDICTED).f1 == pytest.approx(9 / 11)


def test_matching_is_best_in_all_not_one_by_one() -> None:
    true = ["a"] * 5 + ["b"] * 4
    predicted = [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert match_classes(true, predicted) == {1: "a", 0: "b"}


def test_more_predicted_classes_than_true_ones() -> None:
    true, predicted = ["a", "a", "a", "b"], ["w", "w", "v", "u"]
    assert match_classes(true, predicted) == {"w": "a", "u": "b"}
    assert cluster_scores(true, predicted).f1 == pytest.approx(3 / 4)
    assert list(confusion(true, predicted).columns) == ["w", "u", "v"]


def test_fewer_predicted_classes_than_true_ones() -> None:
    true, predicted = ["a", "a", "b", "c"], [0, 0, 0, 0]
    assert match_classes(true, predicted) == {0: "a"}
    scores = cluster_scores(true, predicted)
    assert (scores.nmi, scores.ari, scores.f1) == pytest.approx((0, 0, 0.5))


def test_classes_without_a_common_sample_are_not_matched() -> None:
    true, predicted = ["a", "a", "a", "a", "b"], [0, 0, 0, 1, 0]
    assert match_classes(true, predicted) == {0: "a"}
    assert list(confusion(true, predicted).columns) == [0, 1]


def test_confusion_shows_the_matching_on_its_diagonal() -> None:
    table = confusion(TRUE, PREDICTED)
    assert list(table.index) == ["dent", "good", "scratch"]
    assert list(table.columns) == [2, 1, 0]
    np.testing.assert_array_equal(table, [[2, 0, 0], [0, 4, 1], [0, 1, 3]])


def test_series_are_paired_by_position() -> None:
    true = pd.Series(TRUE, index=range(len(TRUE))[::-1])
    predicted = pd.Series(PREDICTED)
    assert match_classes(true, predicted) == match_classes(TRUE, PREDICTED)
    assert cluster_scores(true, predicted) == cluster_scores(TRUE, PREDICTED)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30))
def test_f1_is_the_micro_f1_of_the_matched_labels(pairs: list[tuple[int, int]]) -> None:
    true, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    names = match_classes(true, predicted)
    assert len(set(names.values())) == len(names)
    renamed = [names.get(label, -1) for label in predicted]
    micro = f1_score(true, renamed, average="micro")
    assert cluster_scores(true, predicted).f1 == pytest.approx(micro)
    assert confusion(true, predicted).to_numpy().sum() == len(pairs)


@pytest.mark.parametrize(("true", "predicted"), [([], []), (["a"], [0, 1])])
def test_labels_must_come_in_pairs(true: list[str], predicted: list[int]) -> None:
    with pytest.raises(InputError, match=f"{len(true)} true labels for {len(predicted)}"):
        cluster_scores(true, predicted)


SHAPE = (3, 5, 6)
maps_of_integers = arrays(np.float32, SHAPE, elements=st.integers(-3, 9))
masks = arrays(np.bool_, SHAPE)


def histograms_of(maps: np.ndarray, truths: np.ndarray, n_bins: int = 65536) -> PixelHistograms:
    histograms = PixelHistograms(float(maps.min()), float(maps.max()), n_bins)
    for scores, truth in zip(maps, truths, strict=True):
        histograms.add(scores, label_regions(truth))
    return histograms


def simple_aupro(maps: np.ndarray, truths: np.ndarray, limit: float) -> float:
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
def test_histograms_give_exact_values_where_bins_separate_all_scores(
    maps: np.ndarray, truths: np.ndarray
) -> None:
    histograms = histograms_of(maps, truths)
    if truths.all() or not truths.any():
        assert pixel_auroc(histograms) is None
        assert aupro(histograms) is None
        return
    exact = roc_auc_score(truths.ravel(), maps.ravel())
    assert pixel_auroc(histograms) == pytest.approx(exact, abs=1e-12)
    for limit in (0.3, 1.0):
        assert aupro(histograms, limit) == pytest.approx(
            simple_aupro(maps, truths, limit), abs=1e-9
        )


def test_smooth_scores_are_exact_up_to_the_bins() -> None:
    rng = np.random.default_rng(0)
    truths = rng.random((3, 20, 25)) > 0.97
    maps = (rng.normal(size=truths.shape) + 1.5 * truths).astype(np.float32)
    exact = roc_auc_score(truths.ravel(), maps.ravel())
    assert pixel_auroc(histograms_of(maps, truths)) == pytest.approx(exact, abs=1e-5)
    assert pixel_auroc(histograms_of(maps, truths, 4096)) == pytest.approx(exact, abs=1e-4)
    assert aupro(histograms_of(maps, truths)) == pytest.approx(
        simple_aupro(maps, truths, 0.3), abs=1e-4
    )


def test_small_defects_count_as_much_as_large_ones() -> None:
    truth = np.zeros((20, 20), np.bool_)
    truth[:10, :10] = True
    truth[15, 15] = truth[16, 16] = True  # One region, since corners touch.
    scores = np.zeros(truth.shape, np.float32)
    scores[:10, :10] = 1
    histograms = histograms_of(scores[None], truth[None])
    assert histograms.by_region.sum() == pytest.approx(2)
    assert aupro(histograms) == pytest.approx(0.5 + 0.5 * 0.15)
    assert pixel_auroc(histograms) == pytest.approx((100 + 2 * 0.5) / 102)


def test_maps_are_brought_to_the_size_of_masks() -> None:
    truth = np.zeros((40, 40), np.bool_)
    truth[10:20, 20:30] = True
    scores = truth[::10, ::10].astype(np.float32)
    histograms = PixelHistograms(0, 1)
    histograms.add(scores, label_regions(truth))
    assert histograms.normal.sum() + histograms.defective.sum() == truth.size
    resized = cv2.resize(scores, (40, 40), interpolation=cv2.INTER_LINEAR)
    exact = roc_auc_score(truth.ravel(), resized.ravel())
    assert pixel_auroc(histograms) == pytest.approx(exact, abs=1e-6)


def test_ignored_pixels_count_for_nothing() -> None:
    truth, ignored = np.zeros((2, 10, 10), np.bool_)
    truth[0:4, 0:4] = ignored[2:6] = True
    histograms = PixelHistograms(0, 1)
    histograms.add(np.ones((10, 10), np.float32), label_regions(truth), ignored)
    assert (histograms.normal.sum(), histograms.defective.sum()) == (100 - 40 - 8, 8)
    assert histograms.by_region.sum() == pytest.approx(1)


def test_overlap_beyond_the_limit_does_not_count() -> None:
    truth = np.zeros((10, 10), np.bool_)
    truth[0] = True
    scores = np.where(truth, 0.5, 0).astype(np.float32)
    scores[5:] = 1  # 50 of 90 normal pixels score higher than the defect.
    histograms = histograms_of(scores[None], truth[None])
    assert aupro(histograms) == 0
    assert aupro(histograms, 1.0) == pytest.approx(1 - 50 / 90)


def test_one_score_everywhere_is_chance() -> None:
    truth = np.eye(4, dtype=np.bool_)[None]
    histograms = histograms_of(np.ones((1, 4, 4), np.float32), truth)
    assert pixel_auroc(histograms) == 0.5


def test_images_are_ranked_by_their_maxima() -> None:
    scores = np.array([0.1, 0.4, 0.3, 0.9])
    defective = np.array([False, False, True, True])
    assert image_auroc(scores, defective) == 0.75
    assert image_auroc(scores, np.ones(4, np.bool_)) is None
    assert image_auroc(scores[:0], defective[:0]) is None
