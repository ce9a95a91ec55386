from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from anomalyncd.config import MebinConfig
from anomalyncd.regions.calibration import (
    Background,
    Calibration,
    background,
    calibrate,
)
from anomalyncd.regions.mebin import binarise
from anomalyncd.regions.score_range import (
    ScoreRange,
    fit_score_range,
    rescale,
)

SETTINGS = MebinConfig()


def _map(seed, rise=0.0, size=96):
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.standard_normal((size, size)), 3)
    y, x = np.mgrid[:size, :size]
    row, column = rng.integers(25, size - 25, 2)
    blob = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 6**2))
    return (0.3 + 0.02 * rough / rough.std() + rise * blob).astype(np.float32)


NORMAL = [_map(i) for i in range(10)]
DEFECTS = [_map(100 + i, rise) for i, rise in enumerate(np.linspace(0.25, 0.8, 20))]
PARTS = [*NORMAL, *DEFECTS]


def _masks(maps, score_range):
    return [binarise(one, score_range, SETTINGS).mask for one in maps]


def _overlap(one, other):
    """Mean intersection over union; 1 for two empty masks."""
    pairs = [(np.sum(a & b), np.sum(a | b)) for a, b in zip(one, other, strict=True)]
    return np.mean([shared / either if either else 1.0 for shared, either in pairs])


def test_level_ignores_a_defect_on_less_than_half_of_the_blocks():
    clean, marked = NORMAL[5], NORMAL[5].copy()
    marked[:24, :72] += 3
    assert background(marked).level == pytest.approx(background(clean).level, abs=0.03)
    assert background(clean).level < clean.max()
    assert 0 < background(clean).spread < 0.05
    for shape in ((1, 1), (2, 9), (4, 4), (67, 129)):
        assert background(np.full(shape, 4.0)) == Background(4, 0)


def test_scores_without_a_long_tail_stay_as_they_are():
    score_range = fit_score_range(PARTS, SETTINGS)
    assert score_range.calibration is None
    assert score_range.high == max(float(one.max()) for one in PARTS)
    moved = fit_score_range([one * 500 + 1000 for one in PARTS], SETTINGS)
    assert moved.calibration is None
    assert moved.low == pytest.approx(score_range.low * 500 + 1000, rel=1e-5)
    rare_and_strong = fit_score_range([*NORMAL, _map(50, 2.0), _map(51, 3.0)], SETTINGS)
    assert rare_and_strong.calibration is None


@pytest.mark.parametrize(
    "warp",
    [
        lambda one: np.exp(8 * one),
        lambda one: np.exp(30 * one) * 1e-6,
        lambda one: (one / 0.3) ** 6,
        lambda one: one - 0.3 + 1e4 * np.maximum(one - 0.5, 0) ** 5,
    ],
)
def test_regions_of_skewed_maps_survive(warp, monkeypatch):
    skewed = [warp(one).astype(np.float32) for one in PARTS]
    before = _masks(PARTS, fit_score_range(PARTS, SETTINGS))
    score_range = fit_score_range(skewed, SETTINGS)
    assert score_range.calibration is not None
    after = _masks(skewed, score_range)
    n_found = sum(one.any() for one in after[len(NORMAL) :])
    assert not any(one.any() for one in after[: len(NORMAL)])

    monkeypatch.setattr("anomalyncd.regions.score_range.calibrate", lambda *_: None)
    straight = _masks(skewed, fit_score_range(skewed, SETTINGS))
    assert n_found >= sum(one.any() for one in straight[len(NORMAL) :]) + 5
    assert _overlap(before, after) > _overlap(before, straight) + 0.05


@pytest.mark.parametrize("factor", [20, 1e4])
def test_one_extreme_map_leaves_the_others_their_regions(factor):
    with_extreme = [*PARTS, DEFECTS[3] * np.float32(factor)]
    score_range = fit_score_range(with_extreme, SETTINGS)
    before, after = _masks(PARTS, fit_score_range(PARTS, SETTINGS)), _masks(PARTS, score_range)
    assert _overlap(before, after) > 0.9
    assert [one.any() for one in before] == [one.any() for one in after]
    assert min(float(rescale(one, score_range).max()) for one in DEFECTS) > 0.15
    straight = ScoreRange(fit_score_range(PARTS, SETTINGS).low, float(with_extreme[-1].max()))
    assert not any(one.any() for one in _masks(PARTS, straight))


def test_typical_defect_reaches_a_third_of_the_largest():
    background_of_all = Background(5, 0.01)
    rises = [0.01, 0.02, 0.5, 1.0, 2.0, 3.0, 400.0]
    bent = calibrate([5 + rise for rise in rises], background_of_all)
    # Clear are 0.08 by chance, 0.5, 1, 2, 3 and 400; their lower median is 1.
    assert bent(405) == pytest.approx(3 * bent(6), rel=1e-5)
    assert bent(5) == 0
    assert calibrate([5 + rise for rise in rises[:-1]], background_of_all) is None


@pytest.mark.parametrize(("n_normal", "n_odd"), [(2, 1), (46, 1), (46, 2)])
def test_a_few_odd_maps_are_never_typical(n_normal, n_odd):
    bent = calibrate([5.02] * n_normal + [405.0] * n_odd, Background(5, 0.01))
    assert bent(405) == pytest.approx(3 * bent(5.08), rel=1e-4)
    assert calibrate([5.02] * 45 + [405.0] * 3, Background(5, 0.01)) is None


@given(
    st.lists(st.floats(0, 2.0**99, width=32), min_size=1, max_size=9),
    st.floats(-1000, 1000, width=32),
    st.just(0.0) | st.floats(1e-30, 10),
)
def test_any_calibration_is_monotone_and_finite(maxima, level, spread):
    bent = calibrate(maxima, Background(level, spread))
    if bent is not None:
        assert 0 < bent.scale < np.inf
        scores = bent(np.sort([level, *np.maximum(maxima, level)]))
        assert np.isfinite(scores).all()
        assert np.all(np.diff(scores) >= 0)


def test_two_maps_and_constant_maps():
    weak, strong = _map(1, 0.5), _map(2, 50.0)
    score_range = fit_score_range([weak, strong], SETTINGS)
    assert all(one.any() for one in _masks([weak, strong], score_range))
    for constant in (0.0, 3.0):
        score_range = fit_score_range([np.full((9, 9), constant)] * 2, SETTINGS)
        assert (score_range.low, score_range.high) == (constant, constant)
    # A background of zeros has no spread; whatever rises from it is clear.
    zeros = [np.maximum(one - 0.4, 0) for one in [*DEFECTS, DEFECTS[3] * 1000]]
    score_range = fit_score_range(zeros, SETTINGS)
    assert sum(one.any() for one in _masks(zeros, score_range)) >= 18


def test_level_is_learnt_from_normal_maps():
    covered = [_map(200 + i) + rise for i, rise in enumerate((0.4, 0.5, 0.6, 40.0))]
    learnt = fit_score_range(covered, SETTINGS, normal_maps=NORMAL)
    level = np.median([background(one).level for one in NORMAL])
    assert learnt.calibration is not None
    assert learnt.calibration.level == pytest.approx(level)
    assert learnt.low == pytest.approx(
        float(learnt.calibration(np.median([one.max() for one in NORMAL]))), rel=1e-5
    )
    assert fit_score_range(covered, SETTINGS).calibration.level > level + 0.3


def test_floor_is_given_in_the_unit_of_the_maps():
    maps = [*PARTS, _map(7, 900.0)]
    score_range = fit_score_range(maps, replace(SETTINGS, floor=0.6))
    assert score_range.calibration is not None
    assert score_range.low == float(score_range.calibration(0.6))
    for one, mask in zip(maps, _masks(maps, score_range), strict=True):
        assert not np.any(one[mask] <= 0.6)


def test_paper_rules_take_scores_as_they_are():
    assert fit_score_range([*PARTS, _map(7, 900.0)], MebinConfig("paper")).calibration is None


def test_calibration_is_linear_below_its_level():
    bent = Calibration(level=2, scale=0.5)
    assert bent(np.array([[-1.0, 1.5, 2.0, 2.5]])).tolist() == [
        pytest.approx([-6, -1, 0, np.log(2)])
    ]
    assert bent(3.0).dtype == np.float32
