"""The score range: its floor, its top, its background peak and its maximal normal score."""

import numpy as np
import pytest

from anomalyncd.config import MebinConfig, RegionConfig
from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.regions.finding import regions_of_maps
from anomalyncd.regions.score_range import ScoreRange, fit_score_range, rescale
from support.anomaly_maps import noise_map, plateau_map

PAPER, DEFAULT = MebinConfig("paper"), MebinConfig()
SIZE = 100


def _map(seed: int, defect: float = 0.0) -> np.ndarray:
    scores = noise_map(np.random.default_rng(seed), 0.3, 0.03, 64)
    scores[20:30, 25:35] += defect
    return scores.astype(np.float32)


NORMAL = [_map(i) for i in range(12)]
DEFECTIVE = [_map(100 + i, defect) for i, defect in enumerate((0.3, 0.5, 0.6, 0.9))]
LARGEST = max(float(scores.max()) for scores in DEFECTIVE)


def _peaks(*peaks: tuple[int, int, float]) -> np.ndarray:
    """A flat map with squares at some places (row, column, score)."""
    scores = np.full((SIZE, SIZE), 0.1, np.float32)
    for row, column, height in peaks:
        scores[row - 6 : row + 6, column - 6 : column + 6] = height
    return scores


def _batch() -> list[np.ndarray]:
    """Twelve maps whose background reaches 0.25 to 0.35; the last four have a defect."""
    heights = np.linspace(0.25, 0.35, 12)
    good = [_peaks((50, 15, height), (50, 85, height - 0.02)) for height in heights]
    return [*good[:8], *(np.maximum(scores, _peaks((20, 50, 0.8))) for scores in good[8:])]


def test_paper_range_of_8_bit_maps() -> None:
    maps = [np.array([[3, 200]], np.uint8), np.array([[90], [7]], np.uint8)]
    assert fit_score_range(maps, PAPER) == ScoreRange(90, 200)
    assert fit_score_range([m.astype(np.float64) for m in maps], PAPER) == ScoreRange(90, 200)


def test_paper_range_brings_other_maps_to_8_bits_with_one_scale() -> None:
    maps = [np.array([[-1.0, 0.37]], np.float32), np.array([[3.0], [1.0]], np.float32)]
    score_range = fit_score_range(maps, PAPER)
    scores = np.concatenate([m.ravel() for m in maps])
    saved = ((scores + 1) / 4 * 255).astype(np.uint8)
    assert np.array_equal(np.concatenate([score_range.convert(m).ravel() for m in maps]), saved)
    assert (score_range.low, score_range.high) == (saved[1], 255)
    # A later map may exceed these scores, but not the 8 bits.
    assert score_range.convert(np.array([[-9.0, 9.0]])).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("peaks", "floor"),
    [
        ([0.31, 0.7, 0.8, 0.9, 1.0], 0.31),  # the smallest maximum, which may be normal
        ([0.6, 0.7, 1.0], 0.3 + 4 / 64 * 0.7),  # the level and the least rise of a region
        ([0.1, 0.7, 0.9, 1.0], 0.3),  # the level, since the smallest maximum is unusual
    ],
)
def test_floor_without_normal_maps(peaks: list[float], floor: float) -> None:
    maps = [plateau_map(peak) if peak > 0.3 else np.full((16, 16), peak) for peak in peaks]
    score_range = fit_score_range(maps, DEFAULT)
    assert score_range.calibration is None
    assert score_range.low == pytest.approx(floor)
    assert score_range.high == 1


@pytest.mark.parametrize("odd", [np.zeros((64, 64)), np.full((9, 9), -50.0), np.zeros((1, 1))])
def test_one_unusual_map_does_not_set_the_floor(odd: np.ndarray) -> None:
    without = fit_score_range([*NORMAL, *DEFECTIVE], DEFAULT)
    assert fit_score_range([*NORMAL, *DEFECTIVE, odd], DEFAULT).low == pytest.approx(
        without.low, abs=0.02
    )


def test_floor_is_the_median_of_the_maxima_of_normal_maps() -> None:
    score_range = fit_score_range(DEFECTIVE, DEFAULT, normal_maps=iter(NORMAL))
    assert score_range.low == np.median([scores.max() for scores in NORMAL])
    assert score_range.high == LARGEST


def test_floor_of_the_config() -> None:
    assert fit_score_range(DEFECTIVE, MebinConfig(floor=0.5), NORMAL).low == 0.5
    assert fit_score_range(DEFECTIVE, MebinConfig(floor=99.0)) == ScoreRange(99, 99)
    with pytest.raises(InputError, match="floor"):
        MebinConfig("paper", floor=0.5)


@pytest.mark.parametrize("config", [PAPER, DEFAULT])
def test_without_maps_there_is_no_range(config: MebinConfig) -> None:
    with pytest.raises(InputError, match="no anomaly map"):
        fit_score_range([], config)
    if config is DEFAULT:
        with pytest.raises(InputError, match="normal image"):
            fit_score_range(DEFECTIVE, config, normal_maps=[])


def test_rescale() -> None:
    scores = np.array([[-2.0, 1.0, 2.0, 3.0, 9.0]])
    scaled = rescale(scores, ScoreRange(1, 3))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[0, 0, 0.5, 1, 1]]
    assert rescale(scores, ScoreRange(2, 2)).tolist() == [[0, 0, 0, 1, 1]]


def test_an_image_up_to_the_background_peak_has_no_region() -> None:
    maps = AnomalyMaps(tuple(f"{i}" for i in range(12)), tuple(_batch()))
    config = MebinConfig(erosion=1)
    score_range = fit_score_range(maps, config)
    sizes = np.full((len(maps), 2), SIZE)
    regions = regions_of_maps(maps, sizes, score_range, config, RegionConfig())
    assert np.unique(regions.image[regions.found]).tolist() == [8, 9, 10, 11]
    empty = [not regions.masks_found[index].any() for index in range(len(maps))]
    assert empty == [True] * 8 + [False] * 4
    # The others are still described by their highest scores.
    assert regions.masks[7].any()
    assert regions.box[regions.image == 7, 2].max() < SIZE


def test_a_score_at_the_background_peak_is_background() -> None:
    score_range = ScoreRange(0, 1, background_peak=0.5)
    assert score_range.is_background(np.array([[0.1, 0.5]]))
    assert not score_range.is_background(np.array([[0.1, 0.51]]))
    assert not ScoreRange(0, 1).is_background(np.zeros((1, 1)))


def test_background_peak_is_a_quantile_of_normal_maps_and_can_be_switched_off() -> None:
    normals = [_peaks((50, 50, height)) for height in np.linspace(0.2, 0.4, 21)]
    score_range = fit_score_range(_batch(), MebinConfig(), normals)
    assert score_range.calibration is not None
    expected = score_range.calibration(np.array([0.2 + 0.85 * 0.2, 0.2 + 0.9 * 0.2]))
    levels = [score_range.background_peak, score_range.max_normal_level]
    assert levels == pytest.approx(expected)
    unlimited = fit_score_range(_batch(), MebinConfig(background_quantile=0), normals)
    assert not any(unlimited.is_background(scores) for scores in normals[1:])
    for config in (MebinConfig(floor=0.3), PAPER):
        without = fit_score_range(_batch(), config)
        assert (without.background_peak, without.max_normal_level) == (None, None)


def test_background_peak_without_normal_maps_is_one_of_all_maps() -> None:
    score_range = fit_score_range(_batch(), MebinConfig(erosion=1))
    # The second of two equal marks, or the marks beside the defect.
    heights = np.linspace(0.25, 0.35, 12)
    peaks = [*(heights[:8] - 0.02), *heights[8:]]
    assert score_range.calibration is not None
    expected = score_range.calibration(np.quantile(peaks, [0.85, 0.9]))
    levels = [score_range.background_peak, score_range.max_normal_level]
    assert levels == pytest.approx(expected)


def test_max_normal_score_is_a_share_of_the_range() -> None:
    assert ScoreRange(1, 3, max_normal_level=1.5).max_normal_score == 0.25
    assert ScoreRange(1, 3, max_normal_level=0.5).max_normal_score == 0.02
    assert ScoreRange(1, 3, max_normal_level=7).max_normal_score == 1
    assert ScoreRange(1, 3).max_normal_score == ScoreRange(1, 1, None, None, 1, 1).max_normal_score
    assert fit_score_range(_batch(), MebinConfig(max_normal_quantile=1)).max_normal_score == 1
