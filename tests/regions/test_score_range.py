import numpy as np
import pytest
from scipy import ndimage

from anomalyncd.errors import InputError
from anomalyncd.regions.score_range import ScoreRange, rescale, score_range
from anomalyncd.settings import MebinSettings

PAPER, DEFAULT = MebinSettings("paper"), MebinSettings()


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
    assert score_range(maps, PAPER) == ScoreRange(90, 200)
    assert score_range([m.astype(np.float64) for m in maps], PAPER) == ScoreRange(90, 200)


def test_paper_range_brings_other_maps_to_8_bits_together():
    maps = [np.array([[-1.0, 0.37]], np.float32), np.array([[3.0], [1.0]], np.float32)]
    bounds = score_range(maps, PAPER)
    together = np.concatenate([m.ravel() for m in maps])
    saved = ((together + 1) / 4 * 255).astype(np.uint8)
    assert np.array_equal(np.concatenate([bounds.convert(m).ravel() for m in maps]), saved)
    assert (bounds.low, bounds.high) == (saved[1], 255)
    # A later map may exceed what was seen, but not the 8 bits.
    assert bounds.convert(np.array([[-9.0, 9.0]])).tolist() == [[0, 255]]


def test_floor_with_normal_images_in_the_batch_is_a_normal_maximum():
    maxima = [float(m.max()) for m in NORMAL]
    bounds = score_range([*NORMAL, *DEFECTS], DEFAULT)
    assert min(maxima) * 0.95 <= bounds.low <= np.median(maxima)
    assert bounds.high == pytest.approx(LARGEST)


def test_floor_without_normal_images_spares_the_weakest_defect():
    bounds = score_range(DEFECTS, DEFAULT)
    weakest = min(float(m.max()) for m in DEFECTS)
    assert np.median([m.max() for m in NORMAL]) * 0.9 < bounds.low
    assert bounds.low < weakest - 0.15 * (bounds.high - bounds.low)


@pytest.mark.parametrize("odd", [np.zeros((64, 64)), np.full((9, 9), -50.0), np.zeros((1, 1))])
def test_floor_is_not_set_by_one_odd_map(odd):
    with_odd = score_range([*NORMAL, *DEFECTS, odd], DEFAULT)
    assert with_odd.low == pytest.approx(score_range([*NORMAL, *DEFECTS], DEFAULT).low, abs=0.02)


def test_floor_given_and_floor_learnt():
    assert score_range(DEFECTS, MebinSettings(floor=0.5)).low == 0.5
    assert score_range(DEFECTS, MebinSettings(floor=99.0)) == ScoreRange(99, 99)
    learnt = score_range(DEFECTS, DEFAULT, normal_maps=iter(NORMAL))
    assert learnt.low == pytest.approx(np.median([m.max() for m in NORMAL]))
    assert learnt.high == pytest.approx(LARGEST)
    with pytest.raises(InputError, match="floor"):
        MebinSettings("paper", floor=0.5)


@pytest.mark.parametrize("settings", [PAPER, DEFAULT])
def test_no_map_at_all(settings):
    with pytest.raises(InputError, match="no anomaly map"):
        score_range([], settings)


def test_no_normal_map_at_all():
    with pytest.raises(InputError, match="normal image"):
        score_range(DEFECTS, DEFAULT, normal_maps=[])


def test_rescale():
    scores = np.array([[-2.0, 1.0, 2.0, 3.0, 9.0]])
    scaled = rescale(scores, ScoreRange(1, 3))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[0, 0, 0.5, 1, 1]]
    assert rescale(scores, ScoreRange(2, 2)).tolist() == [[0, 0, 0, 1, 1]]
