import numpy as np
import pytest
from scipy import ndimage

from anomalyncd.config import MebinConfig
from anomalyncd.errors import InputError
from anomalyncd.regions.score_range import (
    ScoreRange,
    fit_score_range,
    rescale,
)

PAPER, DEFAULT = MebinConfig("paper"), MebinConfig()


def _map(seed, defect=0.0, size=64):
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.standard_normal((size, size)), 3)
    scores = 0.3 + 0.03 * rough / rough.std()
    scores[20:30, 25:35] += defect
    return scores.astype(np.float32)


NORMAL = [_map(i) for i in range(12)]
DEFECTS = [_map(100 + i, defect) for i, defect in enumerate((0.3, 0.5, 0.6, 0.9))]
LARGEST = max(float(m.max()) for m in DEFECTS)


def test_paper_range_of_8_bit_maps():
    maps = [np.array([[3, 200]], np.uint8), np.array([[90], [7]], np.uint8)]
    assert fit_score_range(maps, PAPER) == ScoreRange(90, 200)
    assert fit_score_range([m.astype(np.float64) for m in maps], PAPER) == ScoreRange(90, 200)


def test_paper_range_brings_other_maps_to_8_bits_together():
    maps = [np.array([[-1.0, 0.37]], np.float32), np.array([[3.0], [1.0]], np.float32)]
    score_range = fit_score_range(maps, PAPER)
    together = np.concatenate([m.ravel() for m in maps])
    saved = ((together + 1) / 4 * 255).astype(np.uint8)
    assert np.array_equal(np.concatenate([score_range.convert(m).ravel() for m in maps]), saved)
    assert (score_range.low, score_range.high) == (saved[1], 255)
    # A later map may exceed what was seen, but not the 8 bits.
    assert score_range.convert(np.array([[-9.0, 9.0]])).tolist() == [[0, 255]]


def test_floor_with_normal_images_in_the_batch_is_a_normal_maximum():
    maxima = [float(m.max()) for m in NORMAL]
    score_range = fit_score_range([*NORMAL, *DEFECTS], DEFAULT)
    assert min(maxima) * 0.95 <= score_range.low <= np.median(maxima)
    assert score_range.high == pytest.approx(LARGEST)


def test_floor_without_normal_images_spares_the_weakest_defect():
    score_range = fit_score_range(DEFECTS, DEFAULT)
    weakest = min(float(m.max()) for m in DEFECTS)
    assert np.median([m.max() for m in NORMAL]) * 0.9 < score_range.low
    assert score_range.low < weakest - 0.15 * (score_range.high - score_range.low)


@pytest.mark.parametrize("odd", [np.zeros((64, 64)), np.full((9, 9), -50.0), np.zeros((1, 1))])
def test_floor_is_not_set_by_one_odd_map(odd):
    with_odd = fit_score_range([*NORMAL, *DEFECTS, odd], DEFAULT)
    assert with_odd.low == pytest.approx(
        fit_score_range([*NORMAL, *DEFECTS], DEFAULT).low, abs=0.02
    )


def test_floor_given_and_floor_learnt():
    assert fit_score_range(DEFECTS, MebinConfig(floor=0.5)).low == 0.5
    assert fit_score_range(DEFECTS, MebinConfig(floor=99.0)) == ScoreRange(99, 99)
    learnt = fit_score_range(DEFECTS, DEFAULT, normal_maps=iter(NORMAL))
    assert learnt.low == pytest.approx(np.median([m.max() for m in NORMAL]))
    assert learnt.high == pytest.approx(LARGEST)
    with pytest.raises(InputError, match="floor"):
        MebinConfig("paper", floor=0.5)


@pytest.mark.parametrize("config", [PAPER, DEFAULT])
def test_no_map_at_all(config):
    with pytest.raises(InputError, match="no anomaly map"):
        fit_score_range([], config)


def test_no_normal_map_at_all():
    with pytest.raises(InputError, match="normal image"):
        fit_score_range(DEFECTS, DEFAULT, normal_maps=[])


def test_rescale():
    scores = np.array([[-2.0, 1.0, 2.0, 3.0, 9.0]])
    scaled = rescale(scores, ScoreRange(1, 3))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[0, 0, 0.5, 1, 1]]
    assert rescale(scores, ScoreRange(2, 2)).tolist() == [[0, 0, 0, 1, 1]]
