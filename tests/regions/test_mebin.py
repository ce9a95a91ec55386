"""MEBin: its thresholds, its masks, and maps that are read one at a time."""

import gc
import json
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from anomalyncd.config import MebinConfig
from anomalyncd.regions.mebin import (
    binarise,
    binarise_all,
    otsu_threshold,
    select_threshold,
    threshold_at,
)
from anomalyncd.regions.score_range import ScoreRange, fit_score_range
from support.anomaly_maps import blob, noise_map

GOLDEN = Path(__file__).parents[1] / "golden"
PAPER = MebinConfig("paper")


@pytest.fixture(scope="module")
def published():
    with np.load(GOLDEN / "mebin.npz") as archive:
        return dict(archive)


def _blobs(*peaks, size=96, background=0.1, seed=0):
    scores = noise_map(np.random.default_rng(seed), background, 0.02, size)
    for height, row, column, radius in peaks:
        scores = scores + height * blob(size, row, column, radius)
    return scores.astype(np.float32)


@pytest.mark.parametrize(("kind", "erosion"), [("erode", 6), ("plain", 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_paper_rules_reproduce_the_published_masks(published, kind, erosion, dtype):
    rules = MebinConfig("paper", erosion=erosion)
    maps = [published[f"map_{i}"].astype(dtype) for i in range(12)]
    score_range = fit_score_range(maps, rules)
    assert [score_range.low, score_range.high] == published[f"{kind}_range"].tolist()
    for i, result in enumerate(binarise_all(maps, score_range, rules, 2)):
        assert np.array_equal(result.counts, published[f"{kind}_counts"][i])
        assert result.threshold == published[f"{kind}_threshold"][i]
        assert result.n_regions == published[f"{kind}_regions"][i]
        assert np.array_equal(result.mask, published[f"{kind}_mask_{i}"] > 0)


@pytest.mark.parametrize(
    "case", json.loads((GOLDEN / "threshold_selection.json").read_text(encoding="utf-8"))
)
def test_paper_rules_reproduce_the_published_thresholds(case):
    score_range = ScoreRange(case["s_min"], case["s_max"])
    index, n_regions = select_threshold(np.array(case["counts"]), PAPER.min_interval_length)
    threshold = 255 if index is None else threshold_at(index, score_range, PAPER)
    assert (threshold, n_regions) == (case["threshold"], case["regions"])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=64), st.integers(1, 6))
def test_selection_against_a_simple_search(counts, min_length):
    runs, start = [], 0
    for end in range(1, len(counts) + 1):
        if end == len(counts) or counts[end] != counts[start]:
            if counts[start] > 0 and end - start >= min_length:
                runs.append((end - start, end - 1, counts[start]))
            start = end
    expected = (None, 0)
    if runs:
        longest = max(run[0] for run in runs)
        owners = {count for length, _, count in runs if length == longest}
        owner = next(count for _, _, count in runs if count in owners)
        expected = [(end, c) for length, end, c in runs if length == longest and c == owner][-1]
    assert select_threshold(np.array(counts), min_length) == expected


def test_default_mask_holds_the_regions_that_were_counted():
    maps = [_blobs(*peaks, seed=i) for i, peaks in enumerate([
        [(0.8, 30, 30, 8), (0.6, 70, 60, 7)], [(0.5, 50, 50, 10)], [], [(1.0, 20, 70, 9)],
    ])]  # fmt: skip
    score_range = fit_score_range(maps, MebinConfig())
    results = list(binarise_all(maps, score_range, MebinConfig(), 1))
    assert [result.n_regions for result in results] == [2, 1, 0, 1]
    for anomaly_map, result in zip(maps, results, strict=True):
        assert ndimage.label(result.mask, np.ones((3, 3)))[1] == result.n_regions
        index = select_threshold(result.counts, 4)[0]
        assert index is None or result.counts[index] == result.n_regions
        eroded = ndimage.binary_erosion(
            anomaly_map > result.threshold, np.ones((6, 6)), border_value=1
        )
        assert (eroded == result.mask).mean() > 0.999


def test_one_image_and_equal_maxima():
    single = _blobs((0.8, 30, 30, 8))
    for maps in ([single], [single, single.copy()], [single, single[::-1].copy()]):
        results = list(binarise_all(maps, fit_score_range(maps, MebinConfig()), MebinConfig(), 1))
        assert [result.n_regions for result in results] == [1] * len(maps)
        assert results[0].mask[30, 30]
        assert results[0].mask.mean() < 0.2


def test_the_weakest_defect_survives_without_a_normal_image():
    heights = (0.3, 0.5, 0.7, 1.0)
    maps = [_blobs((height, 40, 50, 8), seed=i) for i, height in enumerate(heights)]
    default = fit_score_range(maps, MebinConfig())
    assert binarise(maps[0], default, MebinConfig()).mask[40, 50]
    # The published range ends at its maximum, which deletes it.
    assert not binarise(maps[0], fit_score_range(maps, PAPER), PAPER).mask.any()


@pytest.mark.parametrize("shift", [-7.0, 0.0, 40.0])
def test_defaults_do_not_depend_on_the_unit_of_the_maps(shift):
    maps = [_blobs((0.3 * i, 40, 50, 8), seed=i) for i in range(4)]
    shifted = [(3 * m + shift).astype(np.float64) for m in maps]
    for result, of_shifted in zip(
        binarise_all(maps, fit_score_range(maps, MebinConfig()), MebinConfig(), 1),
        binarise_all(shifted, fit_score_range(shifted, MebinConfig()), MebinConfig(), 1),
        strict=True,
    ):
        assert result.n_regions == of_shifted.n_regions
        assert (result.mask == of_shifted.mask).mean() > 0.995


@pytest.mark.parametrize("rules", ["paper", "default"])
def test_maps_without_contrast_have_no_region(rules):
    config = MebinConfig(rules)
    for value in (0.0, -3.5, 7.0):
        maps = [np.full((20, 30), value, np.float32)] * 2
        for result in binarise_all(maps, fit_score_range(maps, config), config, 1):
            assert result.n_regions == 0
            assert not result.mask.any()
            assert result.threshold == (255 if rules == "paper" else np.inf)


def test_otsu_separates_two_groups_where_their_spread_is_least():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(2, 0.1, 900), rng.normal(5, 0.3, 124)]).astype(np.float32)

    def spread(threshold):
        sides = scores[scores > threshold], scores[scores <= threshold]
        return sum(len(side) * side.var() for side in sides)

    least = min(spread(t) for t in np.linspace(scores.min(), scores.max(), 500, endpoint=False))
    threshold = otsu_threshold(scores.reshape(32, 32))
    assert spread(threshold) <= 1.01 * least
    assert otsu_threshold(10 * scores.reshape(32, 32) - 7) == pytest.approx(10 * threshold - 7)
    assert otsu_threshold(np.full((4, 4), 0.3, np.float32)) == np.float32(0.3)


@pytest.mark.parametrize("rules", ["paper", "default"])
def test_each_binarisation_uses_its_threshold(rules):
    maps = [_blobs(seed=3), _blobs((0.35, 30, 60, 8)), _blobs((1.0, 60, 30, 9), (0.9, 20, 70, 7))]
    results = {}
    for name in ("mebin", "otsu", "fixed"):
        config = MebinConfig(rules, binarisation=name)
        score_range = fit_score_range(maps, config)
        results[name] = list(binarise_all(maps, score_range, config, 1))
        for scores, result in zip(maps, results[name], strict=True):
            eroded = ndimage.grey_erosion(score_range.convert(scores), (6, 6))[3:-3, 3:-3]
            if name != "mebin":
                assert np.array_equal(result.mask[3:-3, 3:-3], eroded > result.threshold)
                assert result.n_regions == ndimage.label(result.mask, np.ones((3, 3)))[1]
    middle = (score_range.low + score_range.high) / 2
    assert {result.threshold for result in results["fixed"]} == {middle}
    assert [result.n_regions for result in results["fixed"]] == [0, 0, 2]
    assert len({result.threshold for result in results["otsu"]}) == 3
    assert results["otsu"][0].mask.any()  # A map without an anomaly is separated as well.
    assert results["otsu"][1].mask[30, 60]
    for mebin, otsu in zip(results["mebin"], results["otsu"], strict=True):
        assert np.array_equal(mebin.counts, otsu.counts)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (5, 300)])
def test_tiny_and_narrow_maps(shape):
    scores = np.random.default_rng(0).random(shape).astype(np.float32)
    scores.flags.writeable = False
    for config in (PAPER, MebinConfig()):
        result = binarise(scores, fit_score_range([scores], config), config)
        assert result.mask.shape == shape
        assert result.counts.shape == (64,)


def test_a_new_map_above_the_range_is_anomalous():
    earlier = [_blobs(seed=i) for i in range(3)]
    new = _blobs((5.0, 40, 50, 8), seed=9)
    score_range = fit_score_range(earlier, MebinConfig(floor=3.0))
    assert not any(r.mask.any() for r in binarise_all(earlier, score_range, MebinConfig(), 1))
    assert binarise(new, score_range, MebinConfig()).mask[40, 50]


class _WatchedMaps:
    """Makes a new map at every read and counts how many are alive."""

    def __init__(self, n_maps):
        self.n_maps, self.most, self.reads = n_maps, 0, 0
        self._alive, self._lock = weakref.WeakSet(), threading.Lock()

    def __len__(self):
        return self.n_maps

    def __getitem__(self, index):
        class Map(np.ndarray):
            __hash__ = object.__hash__

        fresh = _blobs((0.2 + 0.01 * index, 20, 20, 6), size=48, seed=index).view(Map)
        with self._lock:
            self._alive.add(fresh)
            self.reads += 1
            self.most = max(self.most, len(self._alive))
        return fresh


@pytest.mark.parametrize("n_threads", [1, 3])
def test_maps_are_streamed_in_order(n_threads):
    gc.collect()
    maps = _WatchedMaps(60)
    score_range = fit_score_range((maps[i] for i in range(60)), MebinConfig())
    assert maps.most <= 2
    results = binarise_all(maps, score_range, MebinConfig(), n_threads)
    counts = [result.counts for result in results]
    assert maps.reads == 120
    assert maps.most <= n_threads + 2
    for i in (0, 17, 59):
        assert np.array_equal(counts[i], binarise(maps[i], score_range, MebinConfig()).counts)


def test_an_abandoned_stream_reads_no_further():
    maps = _WatchedMaps(60)
    results = binarise_all(maps, ScoreRange(0.1, 1.0), MebinConfig(), 2)
    next(results)
    results.close()
    assert maps.reads <= 6


def test_an_unreadable_map_raises_in_its_place():
    class Broken(_WatchedMaps):
        def __getitem__(self, index):
            if index == 5:
                raise ValueError("map 5")
            return super().__getitem__(index)

    results = binarise_all(Broken(20), ScoreRange(0.1, 1.0), MebinConfig(), 3)
    assert len([next(results) for _ in range(5)]) == 5
    with pytest.raises(ValueError, match="map 5"):
        next(results)
