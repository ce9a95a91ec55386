import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from anomalyncd.regions.components import count_components, quantise


def _brute_force(levels, n_levels):
    eight = np.ones((3, 3))
    return [ndimage.label(levels >= n_levels - k, eight)[1] for k in range(n_levels)]


@settings(max_examples=200, deadline=None)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, max_side=24), st.integers(1, 7))
def test_counts_equal_labelling_at_every_level(data, shape, highest):
    levels = data.draw(arrays(np.uint8, shape, elements=st.integers(0, highest)))
    counts = count_components(np.pad(levels, 1), 7)
    assert counts.tolist() == _brute_force(levels, 7)


@pytest.mark.parametrize("smoothing", [0, 1, 4])
def test_counts_on_large_maps_with_many_levels(smoothing):
    scores = ndimage.gaussian_filter(np.random.default_rng(3).random((150, 211)), smoothing)
    levels = quantise(scores.astype(np.float32), scores.min(), scores.max(), 64)
    assert count_components(levels, 64).tolist() == _brute_force(levels, 64)


def test_counts_on_patterns_that_are_hard_for_a_raster_scan():
    spiral = np.zeros((41, 41), np.uint8)
    for ring in range(0, 20, 2):
        spiral[ring : 41 - ring, ring] = spiral[ring, ring : 41 - ring] = 1
        spiral[40 - ring, ring : 41 - ring] = spiral[ring + 2 : 41 - ring, 40 - ring] = 1
        spiral[ring + 2, ring : ring + 2] = 1
    checkers = np.indices((31, 30)).sum(0) % 2
    isolated = np.zeros((31, 31), np.uint8)
    isolated[::2, ::2] = 1
    for pattern in (spiral, checkers, isolated, np.ones((9, 1)), np.zeros((3, 3)), np.ones((1, 1))):
        levels = np.pad(pattern.astype(np.uint8), 1)
        assert count_components(levels, 1).tolist() == _brute_force(levels, 1)


def test_levels_count_the_published_thresholds_exceeded():
    scores = np.arange(256, dtype=np.float32)[None]
    low, high = 96.0, 248.0
    scaled = np.where(scores < low, 0, (scores.astype(np.float64) - low) / (high - low) * 255)
    expected = (scaled[..., None] > np.arange(255, 0, -4)).sum(-1)
    levels = quantise(scores, low, high, 64)
    assert np.array_equal(levels[1:-1, 1:-1], expected)
    assert levels[0].max() == levels[-1].max() == levels[:, 0].max() == levels[:, -1].max() == 0


@given(st.integers(2, 255), st.floats(-5, 5, width=32), st.floats(0.125, 9, width=32))
def test_levels_for_any_number_of_thresholds(n_thresholds, low, span):
    scores = np.linspace(low - span, low + 2 * span, 97, dtype=np.float32)[None]
    scaled = (scores.astype(np.float64) - low) / span * 255
    thresholds = 255 - 256 * np.arange(n_thresholds) / n_thresholds
    expected = (scaled[..., None] > thresholds).sum(-1)
    clear = np.abs(scaled[..., None] - thresholds).min(-1) > 1e-9
    levels = quantise(scores, low, low + span, n_thresholds)[1:-1, 1:-1]
    assert np.array_equal(levels[clear], expected[clear])


def test_an_empty_range_tells_above_from_below():
    scores = np.array([[-1, 2, 3]], np.float32)
    assert quantise(scores, 2.0, 2.0, 64)[1, 1:-1].tolist() == [0, 0, 64]
