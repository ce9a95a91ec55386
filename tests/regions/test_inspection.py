"""What is said of maps before a discovery, on maps whose faults are known."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from anomalyncd.config import PRESETS, MebinConfig
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.regions.inspection import MapInspection, facts, inspect_maps
from anomalyncd.regions.map_warnings import map_warnings
from anomalyncd.report.inspection_page import sheet

SIDE, N_PARTS, N_GOOD = 160, 20, 8


def sound_maps() -> list[np.ndarray]:
    """Good images reach 0.1 to 0.2; the others have one defect each, of 0.4 to 1."""
    rng = np.random.default_rng(0)
    maps = [
        cv2.GaussianBlur(rng.random((SIDE, SIDE), np.float32), (0, 0), 4) for _ in range(N_PARTS)
    ]
    tops = rng.uniform(0.1, 0.2, N_PARTS)
    maps = [top * (one - one.min()) / np.ptp(one) for top, one in zip(tops, maps, strict=True)]
    for index, height in enumerate(np.linspace(0.4, 1, N_PARTS - N_GOOD)):
        top, left = rng.integers(10, SIDE - 50, 2)
        maps[N_GOOD + index][top : top + 30, left : left + 30] = height
    return maps


def inspected(
    maps: list[np.ndarray], normal_maps: list[np.ndarray] | None = None, preset: str = "default"
) -> MapInspection:
    pictures = [np.zeros((SIDE, SIDE, 3), np.uint8)] * len(maps)
    normals = None if normal_maps is None else pictures[: len(normal_maps)]
    inputs = check_inputs(pictures, maps, normals=normals, normal_maps=normal_maps)
    return inspect_maps(inputs, PRESETS[preset])


def test_sound_maps_leave_no_doubt() -> None:
    seen = inspected(sound_maps())
    assert map_warnings(seen) == []
    assert list(seen.without) == [True] * N_GOOD + [False] * (N_PARTS - N_GOOD)
    assert seen.n_regions.sum() == N_PARTS - N_GOOD
    assert seen.highest == N_PARTS - 1
    # Erosion by 6 pixels takes 5 from each side of a square.
    assert seen.median_covered == pytest.approx(25**2 / SIDE**2)


def test_edges_hold_all_maxima_and_the_floor() -> None:
    seen = inspected(sound_maps())
    edges = seen.edges(4)
    assert (edges[0], edges[-1]) == (min(seen.score_range.low, seen.maxima.min()), 1)
    equal = replace(seen, maxima=np.full(N_PARTS, seen.score_range.low + 1e-17))
    assert (np.diff(equal.edges(24)) > 0).all()
    assert np.histogram(equal.maxima, equal.edges(24))[0].sum() == N_PARTS


def test_facts_are_those_of_the_maps() -> None:
    said = dict(facts(inspected(sound_maps())))
    assert said["without a region"] == "8 of 20 images (40 %)"
    assert said["regions a image"] == "1 on 12 images"
    assert said["top"].startswith("1, the highest")
    assert "derived from the maps" in said["floor"]


def test_normal_maps_set_the_floor() -> None:
    normal = [np.full((SIDE, SIDE), score, np.float32) for score in (0.5, 0.6, 0.9)]
    for one in normal:
        one[0, 0] = 0
    seen = inspected(sound_maps(), normal)
    assert dict(facts(seen))["floor"] == "0.6, the median of the maxima of 3 normal images"
    assert list(seen.normal_maxima) == pytest.approx([0.5, 0.6, 0.9])


def test_a_floor_above_all_parts_is_named() -> None:
    found = map_warnings(inspected(sound_maps(), [2 + one for one in sound_maps()[:2]]))
    assert len(found) == 1
    assert found[0].startswith("No image has a region")
    assert "the normal images score higher" in found[0]


def test_published_rules_take_the_lowest_maximum() -> None:
    seen = inspected(sound_maps(), preset="paper")
    assert seen.score_range.low == seen.maxima.min()
    assert "as published" in dict(facts(seen))["floor"]


def scaled_alone(maps: list[np.ndarray]) -> list[np.ndarray]:
    return [one / one.max() for one in maps]


def eight_bits(maps: list[np.ndarray]) -> list[np.ndarray]:
    return [(255 * one).astype(np.uint8) for one in maps]


def one_odd(maps: list[np.ndarray]) -> list[np.ndarray]:
    maps[0][20:60, 20:60] = 9
    return maps


def one_blank(maps: list[np.ndarray]) -> list[np.ndarray]:
    return [np.full_like(maps[0], 0.2), *maps[1:]]


def small(maps: list[np.ndarray]) -> list[np.ndarray]:
    return [cv2.resize(one, (40, 40), interpolation=cv2.INTER_AREA) for one in maps]


def all_defective(maps: list[np.ndarray]) -> list[np.ndarray]:
    return maps[N_GOOD:]


def spotted(maps: list[np.ndarray]) -> list[np.ndarray]:
    for index, one in enumerate(maps[4:]):
        for top, left in np.ndindex(2, 4):
            place = slice(20 + 60 * top, 40 + 60 * top), slice(10 + 40 * left, 30 + 40 * left)
            one[place] = 1.5 + 0.01 * index
    return maps


def wide(maps: list[np.ndarray]) -> list[np.ndarray]:
    for index, one in enumerate(maps[4:]):
        one[20:140, 20:140] = 1.5 + 0.01 * index
    return maps


def raised_at_edge(maps: list[np.ndarray]) -> list[np.ndarray]:
    for one in maps[4:]:
        one[:, :25] = one.max() + 0.2
    return maps


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (scaled_alone, "20 of 20 maps have the same maximum, 1. "),
        (eight_bits, "different scores, as pictures of 8 bits do"),
        (one_odd, "A few scores dwarf the others: '000' reaches 9. "),
        (one_blank, "All scores are the same on the map of '000'. "),
        (small, "The maps have about 40 x 40 pixels"),
        (all_defective, "12 of 12 images have a region. "),
        (raised_at_edge, "touch the edge of the picture on 7 of the 7 images"),
        (spotted, "The regions are 8 on a image at the median. "),
        (wide, "The regions cover 52 % of the picture at the median. "),
    ],
)
def test_fault_is_named(spoil: Callable[[list[np.ndarray]], list[np.ndarray]], said: str) -> None:
    found = map_warnings(inspected(spoil(sound_maps())))
    assert any(said in doubt for doubt in found), found


def test_coarse_scores_are_published() -> None:
    assert map_warnings(inspected(eight_bits(sound_maps()), preset="paper")) == []


def test_sheet_shows_the_border_between_regions_and_none() -> None:
    seen = inspected(sound_maps())
    with_region, without = sheet(seen)
    ranking = np.argsort(-seen.maxima, kind="stable").tolist()
    assert with_region[0] == ranking[0]
    assert with_region[-4:] == ranking[8:12]
    assert without[:4] == ranking[12:16]
    assert without[-1] == ranking[-1]
    assert sheet(replace(seen, n_regions=np.ones(N_PARTS, int)))[1] == []
    assert seen.config == MebinConfig()
