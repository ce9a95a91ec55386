"""The background of maps, and the calibration of scores with a long upper tail."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.config import MebinConfig
from anomalyncd.regions.calibration import (
    Background,
    Calibration,
    background,
    background_peak,
    calibrate,
)
from anomalyncd.regions.mebin import binarise
from anomalyncd.regions.score_range import ScoreRange, fit_score_range, rescale
from support.anomaly_maps import blob, noise_map

CONFIG = MebinConfig()
SIZE = 96


def _map(seed: int, rise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scores = noise_map(rng, 0.3, 0.02, SIZE)
    row, column = rng.integers(25, SIZE - 25, 2)
    return (scores + rise * blob(SIZE, row, column, 6)).astype(np.float32)


NORMAL = [_map(i) for i in range(10)]
DEFECTIVE = [_map(100 + i, rise) for i, rise in enumerate(np.linspace(0.25, 0.8, 20))]
MAPS = [*NORMAL, *DEFECTIVE]


def _masks(maps: list[np.ndarray], score_range: ScoreRange) -> list[np.ndarray]:
    return [binarise(scores, score_range, CONFIG).mask for scores in maps]


def _overlap(masks: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Mean intersection over union; 1 for two empty masks."""
    pairs = [(np.sum(a & b), np.sum(a | b)) for a, b in zip(masks, others, strict=True)]
    return float(np.mean([shared / either if either else 1.0 for shared, either in pairs]))


def _with_plateaus(*plateaus: tuple[int, int, float]) -> np.ndarray:
    """A flat map with a square of 12 pixels around each place (row, column, score)."""
    scores = np.full((100, 100), 0.1, np.float32)
    for row, column, height in plateaus:
        scores[row - 6 : row + 6, column - 6 : column + 6] = height
    return scores


def test_background_peak_is_outside_the_main_element_and_its_surroundings() -> None:
    main, beside, far = (20, 20, 1.0), (32, 32, 0.5), (80, 80, 0.3)
    assert background_peak(_with_plateaus(main, beside, far)) == np.float32(0.3)
    assert background_peak(_with_plateaus(main, (80, 80, 0.9))) == np.float32(0.9)


def test_surroundings_reach_a_fifth_of_the_side() -> None:
    scores = np.zeros((100, 100), np.float32)
    scores[50, 20], scores[50, 40], scores[50, 43] = 1, 0.4, 0.3
    assert background_peak(scores) == np.float32(0.3)


def test_a_diagonal_line_is_a_single_element() -> None:
    scores = np.diag(np.linspace(1, 0.8, 100)).astype(np.float32)
    scores[10, 80] = 0.3
    assert background_peak(scores) == np.float32(0.3)


def test_where_the_main_element_is_everywhere_there_is_no_background_peak() -> None:
    lattice = np.zeros((20, 20), np.float32)
    lattice[::4] = lattice[:, ::4] = 1
    assert background_peak(lattice) is None
    assert background_peak(np.full((9, 9), 2.0)) == 2.0


def test_level_ignores_a_defect_on_less_than_half_of_the_blocks() -> None:
    clean, marked = NORMAL[5], NORMAL[5].copy()
    marked[:24, :72] += 3
    assert background(marked).level == pytest.approx(background(clean).level, abs=0.03)
    assert background(clean).level < clean.max()
    assert 0 < background(clean).spread < 0.05
    for shape in ((1, 1), (2, 9), (4, 4), (67, 129)):
        assert background(np.full(shape, 4.0)) == Background(4, 0)
    steps = np.kron(np.arange(16.0).reshape(4, 4), np.eye(5))
    assert background(steps) == Background(7.5, 3.75)


def test_scores_without_a_long_tail_stay_as_they_are() -> None:
    score_range = fit_score_range(MAPS, CONFIG)
    assert score_range.calibration is None
    assert score_range.high == max(float(scores.max()) for scores in MAPS)
    moved = fit_score_range([scores * 500 + 1000 for scores in MAPS], CONFIG)
    assert moved.calibration is None
    assert moved.low == pytest.approx(score_range.low * 500 + 1000, rel=1e-5)
    rare_and_strong = fit_score_range([*NORMAL, _map(50, 2.0), _map(51, 3.0)], CONFIG)
    assert rare_and_strong.calibration is None


@pytest.mark.parametrize(
    "warp",
    [
        lambda scores: np.exp(8 * scores),
        lambda scores: np.exp(30 * scores) * 1e-6,
        lambda scores: (scores / 0.3) ** 6,
        lambda scores: scores - 0.3 + 1e4 * np.maximum(scores - 0.5, 0) ** 5,
    ],
)
def test_regions_of_skewed_maps_survive(warp, monkeypatch) -> None:
    skewed = [warp(scores).astype(np.float32) for scores in MAPS]
    before = _masks(MAPS, fit_score_range(MAPS, CONFIG))
    score_range = fit_score_range(skewed, CONFIG)
    assert score_range.calibration is not None
    after = _masks(skewed, score_range)
    n_found = sum(mask.any() for mask in after[len(NORMAL) :])
    assert not any(mask.any() for mask in after[: len(NORMAL)])

    monkeypatch.setattr("anomalyncd.regions.score_range.calibrate", lambda *_: None)
    straight = _masks(skewed, fit_score_range(skewed, CONFIG))
    assert n_found >= sum(mask.any() for mask in straight[len(NORMAL) :]) + 5
    assert _overlap(before, after) > _overlap(before, straight) + 0.05


@pytest.mark.parametrize("factor", [20, 1e4])
def test_one_extreme_map_leaves_the_others_their_regions(factor) -> None:
    with_extreme = [*MAPS, DEFECTIVE[3] * np.float32(factor)]
    score_range = fit_score_range(with_extreme, CONFIG)
    before, after = _masks(MAPS, fit_score_range(MAPS, CONFIG)), _masks(MAPS, score_range)
    assert _overlap(before, after) > 0.9
    assert [mask.any() for mask in before] == [mask.any() for mask in after]
    assert min(float(rescale(scores, score_range).max()) for scores in DEFECTIVE) > 0.15
    straight = ScoreRange(fit_score_range(MAPS, CONFIG).low, float(with_extreme[-1].max()))
    assert not any(mask.any() for mask in _masks(MAPS, straight))


def test_typical_defect_reaches_a_third_of_the_largest() -> None:
    background_of_all = Background(5, 0.01)
    rises = [0.01, 0.02, 0.5, 1.0, 2.0, 3.0, 400.0]
    calibration = calibrate([5 + rise for rise in rises], background_of_all)
    # Clear are 0.08 by chance, 0.5, 1, 2, 3 and 400; their lower median is 1.
    assert calibration(405) == pytest.approx(3 * calibration(6), rel=1e-5)
    assert calibration(5) == 0
    assert calibrate([5 + rise for rise in rises[:-1]], background_of_all) is None


@pytest.mark.parametrize(("n_normal", "n_unusual"), [(2, 1), (46, 1), (46, 2)])
def test_a_few_unusual_maps_are_never_typical(n_normal, n_unusual) -> None:
    calibration = calibrate([5.02] * n_normal + [405.0] * n_unusual, Background(5, 0.01))
    assert calibration(405) == pytest.approx(3 * calibration(5.08), rel=1e-4)
    assert calibrate([5.02] * 45 + [405.0] * 3, Background(5, 0.01)) is None


@given(
    st.lists(st.floats(0, 2.0**99, width=32), min_size=1, max_size=9),
    st.floats(-1000, 1000, width=32),
    st.just(0.0) | st.floats(1e-30, 10),
)
def test_any_calibration_is_monotone_and_finite(maxima, level, spread) -> None:
    calibration = calibrate(maxima, Background(level, spread))
    if calibration is not None:
        assert 0 < calibration.scale < np.inf
        scores = calibration(np.sort([level, *np.maximum(maxima, level)]))
        assert np.isfinite(scores).all()
        assert np.all(np.diff(scores) >= 0)


def test_two_maps_and_constant_maps() -> None:
    weak, strong = _map(1, 0.5), _map(2, 50.0)
    score_range = fit_score_range([weak, strong], CONFIG)
    assert all(mask.any() for mask in _masks([weak, strong], score_range))
    for constant in (0.0, 3.0):
        score_range = fit_score_range([np.full((9, 9), constant)] * 2, CONFIG)
        assert (score_range.low, score_range.high) == (constant, constant)
    # A background of zeros has no spread; whatever rises from it is clear.
    zeros = [np.maximum(scores - 0.4, 0) for scores in [*DEFECTIVE, DEFECTIVE[3] * 1000]]
    score_range = fit_score_range(zeros, CONFIG)
    assert sum(mask.any() for mask in _masks(zeros, score_range)) >= 18


def test_level_is_learned_from_normal_maps() -> None:
    covered = [_map(200 + i) + rise for i, rise in enumerate((0.4, 0.5, 0.6, 40.0))]
    learned = fit_score_range(covered, CONFIG, normal_maps=NORMAL)
    level = np.median([background(scores).level for scores in NORMAL])
    assert learned.calibration is not None
    assert learned.calibration.level == pytest.approx(level)
    assert learned.low == pytest.approx(
        float(learned.calibration(np.median([scores.max() for scores in NORMAL]))), rel=1e-5
    )
    assert fit_score_range(covered, CONFIG).calibration.level > level + 0.3


def test_floor_is_in_the_unit_of_the_maps() -> None:
    maps = [*MAPS, _map(7, 900.0)]
    score_range = fit_score_range(maps, replace(CONFIG, floor=0.6))
    assert score_range.calibration is not None
    assert score_range.low == float(score_range.calibration(0.6))
    for scores, mask in zip(maps, _masks(maps, score_range), strict=True):
        assert not np.any(scores[mask] <= 0.6)


def test_paper_rules_take_scores_as_they_are() -> None:
    assert fit_score_range([*MAPS, _map(7, 900.0)], MebinConfig("paper")).calibration is None


def test_calibration_is_linear_below_its_level() -> None:
    calibration = Calibration(level=2, scale=0.5)
    assert calibration(np.array([[-1.0, 1.5, 2.0, 2.5]])).tolist() == [
        pytest.approx([-6, -1, 0, np.log(2)])
    ]
    assert calibration(3.0).dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_huge_scores_stay_in_range() -> None:
    bent = Calibration(float(np.float32(1e37)), 1e-30)(np.array([-3e38, 1e37, 3e38], np.float32))
    assert np.isfinite(bent).all()
    assert bent[0] < bent[1] < bent[2]
