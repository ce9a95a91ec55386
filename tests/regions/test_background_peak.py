import numpy as np
import pytest

from anomalyncd.config import MebinConfig, RegionConfig
from anomalyncd.regions.calibration import background_peak
from anomalyncd.regions.finding import regions_of_maps
from anomalyncd.regions.score_range import fit_score_range

SIZE = 100


def _map(peaks: dict[tuple[int, int], float]) -> np.ndarray:
    scores = np.full((SIZE, SIZE), 0.1, np.float32)
    for (row, column), height in peaks.items():
        scores[row - 6 : row + 6, column - 6 : column + 6] = height
    return scores


def test_the_main_element_and_its_surroundings_are_left_out() -> None:
    assert background_peak(_map({(20, 20): 1.0, (32, 32): 0.5, (80, 80): 0.3})) == pytest.approx(
        0.3
    )


def test_a_second_defect_apart_from_the_main_element_counts() -> None:
    assert background_peak(_map({(20, 20): 1.0, (80, 80): 0.9})) == pytest.approx(0.9)


def test_nothing_is_left_where_the_main_element_is_everywhere() -> None:
    lattice = np.zeros((20, 20), np.float32)
    lattice[::4] = lattice[:, ::4] = 1
    assert background_peak(lattice) is None
    assert background_peak(np.full((9, 9), 2.0)) == 2.0


def _parts() -> list[np.ndarray]:
    """Twelve images whose surfaces reach .3 or so, the last four with a defect."""
    heights = np.linspace(0.25, 0.35, 12)
    sound = [_map({(50, 15): height, (50, 85): height - 0.02}) for height in heights]
    defects = [np.maximum(one, _map({(20, 50): 0.8})) for one in sound[8:]]
    return [*sound[:8], *defects]


class _Maps(list[np.ndarray]):
    ignored = None


def test_a_part_that_shows_no_more_than_sound_surfaces_has_no_region() -> None:
    maps = _Maps(_parts())
    config = MebinConfig(erosion=1)
    score_range = fit_score_range(maps, config)
    sizes = np.full((len(maps), 2), SIZE)
    found = regions_of_maps(maps, sizes, score_range, config, RegionConfig())  # type: ignore[arg-type]
    with_region = np.unique(found.regions.image[found.regions.found])
    assert with_region.tolist() == [8, 9, 10, 11]
    shown = [found.masks_found[index].any() for index in range(len(maps))]
    assert shown == [False] * 8 + [True] * 4
    # The others are still described by their most conspicuous place.
    assert found.masks[7].any()
    assert found.regions.box[found.regions.image == 7, 2].max() < SIZE


def test_the_level_is_a_quantile_of_normal_maps_and_can_be_switched_off() -> None:
    normals = [_map({(50, 50): height}) for height in np.linspace(0.2, 0.4, 21)]
    score_range = fit_score_range(_parts(), MebinConfig(), normals)
    assert [score_range.is_background(one) for one in normals] == [True] * 18 + [False] * 3
    free = fit_score_range(_parts(), MebinConfig(background_quantile=0), normals)
    assert not any(free.is_background(one) for one in normals[1:])
    assert fit_score_range(_parts(), MebinConfig(floor=0.3)).sound is None
    assert fit_score_range(_parts(), MebinConfig("paper")).sound is None


def test_the_split_is_bounded_by_what_sound_surfaces_show() -> None:
    score_range = fit_score_range(_parts(), MebinConfig(erosion=1))
    assert score_range.sound is not None
    assert score_range.anomalous is not None
    assert score_range.sound <= score_range.anomalous < score_range.high
    share = (score_range.anomalous - score_range.low) / (score_range.high - score_range.low)
    assert score_range.max_normal_score == pytest.approx(max(share, 0.02))
    assert fit_score_range(_parts(), MebinConfig(max_normal_quantile=1)).max_normal_score == 1
    assert fit_score_range(_parts(), MebinConfig("paper")).max_normal_score == 1
