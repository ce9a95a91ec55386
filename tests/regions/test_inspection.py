"""Statistics and warnings of anomaly maps, on maps whose faults are known."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from anomalyncd.config import PRESETS
from anomalyncd.errors import InputError
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.regions.inspection import MapInspection, facts, inspect_maps
from anomalyncd.regions.map_warnings import map_warnings, refuse_constant_maps
from support.anomaly_maps import N_GOOD, N_IMAGES, SIDE, batch_of_maps

Maps = list[np.ndarray]


def inspected(
    maps: Maps, normal_maps: Maps | None = None, preset: str = "default"
) -> MapInspection:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8) for _ in maps]
    normals = None if normal_maps is None else pictures[: len(normal_maps)]
    inputs = check_inputs(pictures, maps=maps, normals=normals, normal_maps=normal_maps)
    return inspect_maps(inputs, PRESETS[preset])


def test_usual_maps_give_no_warning() -> None:
    inspection = inspected(batch_of_maps())
    assert map_warnings(inspection) == []
    expected = [True] * N_GOOD + [False] * (N_IMAGES - N_GOOD)
    assert inspection.without_region.tolist() == expected
    assert inspection.n_regions.sum() == N_IMAGES - N_GOOD
    assert inspection.highest == N_IMAGES - 1
    # Erosion by 6 pixels takes 5 from each side of a square.
    assert inspection.median_covered == pytest.approx(25**2 / SIDE**2)


def test_without_maps_there_is_nothing_to_inspect() -> None:
    inputs = check_inputs([np.zeros((SIDE, SIDE, 3), np.uint8)] * 2)
    with pytest.raises(InputError, match="give `maps`"):
        inspect_maps(inputs, PRESETS["default"])


@pytest.mark.parametrize(
    ("top", "left", "at_edge"),
    [(60, 60, False), (0, 60, True), (130, 60, True), (60, 0, True), (60, 130, True)],
)
def test_regions_at_any_edge_are_noticed(top: int, left: int, at_edge: bool) -> None:
    maps = batch_of_maps()
    maps[0][top : top + 30, left : left + 30] = 0.9
    # Erosion does not take pixels away at the edge of the image.
    assert inspected(maps).at_edge[0] == at_edge


def test_bins_contain_all_maxima_and_the_floor() -> None:
    inspection = inspected(batch_of_maps())
    edges = inspection.edges(4)
    low = min(inspection.score_range.low, inspection.maxima.min())
    assert (edges[0], edges[-1]) == (low, 1)
    equal = replace(inspection, maxima=np.full(N_IMAGES, inspection.score_range.low + 1e-17))
    assert (np.diff(equal.edges(24)) > 0).all()
    assert np.histogram(equal.maxima, equal.edges(24))[0].sum() == N_IMAGES


def test_facts_are_those_of_the_maps() -> None:
    inspection = inspected(batch_of_maps())
    values = dict(facts(inspection))
    assert values["without a region"] == "8 of 20 images (40 %)"
    assert values["regions per image"] == "1 on 12 images"
    assert values["top"].startswith("1, the highest")
    assert "derived from the maps" in values["floor"]
    assert "85 % of the maps outside their main element" in values["no region up to"]
    many = replace(inspection, n_regions=np.repeat([0, 1, 3, 5, 9], 4))
    assert dict(facts(many))["regions per image"] == (
        "1 on 4 images, 3 on 4 images, 4 or more on 8 images"
    )


def test_normal_maps_set_the_floor() -> None:
    normal = [np.full((SIDE, SIDE), score, np.float32) for score in (0.5, 0.6, 0.9)]
    for scores in normal:
        scores[0, 0] = 0
    inspection = inspected(batch_of_maps(), normal)
    values = dict(facts(inspection))
    assert values["floor"] == "0.6, the median of the maxima of 3 normal images"
    assert "85 % of the normal images" in values["no region up to"]
    assert list(inspection.normal_maxima) == pytest.approx([0.5, 0.6, 0.9])


@pytest.mark.parametrize(
    ("level", "sentence"), [(1.5, "No image has a region"), (0.95, "Only 1 of 20 images have")]
)
def test_normal_maps_above_most_maps_give_a_warning(level: float, sentence: str) -> None:
    normal = [level + scores / 1e4 for scores in batch_of_maps()[:2]]
    warnings = map_warnings(inspected(batch_of_maps(), normal))
    assert warnings[-1].startswith(sentence)
    assert "the normal images score higher" in warnings[-1]


def test_published_rules_take_the_lowest_maximum() -> None:
    inspection = inspected(batch_of_maps(), preset="paper")
    assert inspection.score_range.low == inspection.maxima.min()
    assert "published" in dict(facts(inspection))["floor"]


def scaled_separately(maps: Maps) -> Maps:
    return [scores / scores.max() for scores in maps]


def eight_bits(maps: Maps) -> Maps:
    return [(255 * scores).astype(np.uint8) for scores in maps]


def one_extreme(maps: Maps) -> Maps:
    maps[0][20:60, 20:60] = 9
    return maps


def one_constant(maps: Maps) -> Maps:
    return [np.full_like(maps[0], 0.2), *maps[1:]]


def small(maps: Maps) -> Maps:
    return [cv2.resize(scores, (40, 40), interpolation=cv2.INTER_AREA) for scores in maps]


def all_defective(maps: Maps) -> Maps:
    return maps[N_GOOD:]


def spotted(maps: Maps) -> Maps:
    for index, scores in enumerate(maps[4:]):
        for top, left in np.ndindex(2, 4):
            place = slice(20 + 60 * top, 40 + 60 * top), slice(10 + 40 * left, 30 + 40 * left)
            scores[place] = 1.5 + 0.01 * index
    return maps


def wide(maps: Maps) -> Maps:
    for index, scores in enumerate(maps[4:]):
        scores[20:140, 20:140] = 1.5 + 0.01 * index
    return maps


def raised_at_edge(maps: Maps) -> Maps:
    for scores in maps[4:]:
        scores[:, :25] = scores.max() + 0.2
    return maps


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (scaled_separately, "20 of 20 maps have the same maximum, 1. "),
        (eight_bits, "different scores, as in pictures of 8 bits"),
        (one_extreme, "A few scores are far above the others: '000' reaches 9. "),
        (one_constant, "All scores are the same on 1 map of 20 (maps), first on that of '000'. "),
        (small, "The maps have about 40 x 40 pixels"),
        (all_defective, "12 of 12 images have a region. "),
        (all_defective, "Give `normals`"),
        (raised_at_edge, "touch the edge of the image on 7 of the 7 images"),
        (raised_at_edge, "exclude it with `ignore`"),
        (spotted, "The regions are 8 per image at the median. "),
        (wide, "The regions cover 52 % of an image at the median. "),
    ],
)
def test_fault_gives_a_warning(spoil: Callable[[Maps], Maps], sentence: str) -> None:
    warnings = map_warnings(inspected(spoil(batch_of_maps())))
    assert any(sentence in warning for warning in warnings), warnings


def test_maps_without_any_difference_are_refused() -> None:
    constant = [np.full((SIDE, SIDE), level, np.float32) for level in (0.1, 0.5, 0.5)]
    with pytest.raises(InputError, match="the same on the map of '000' and on every other map"):
        refuse_constant_maps(inspected(constant))
    refuse_constant_maps(inspected([*constant, *batch_of_maps()[:1]]))


def test_published_rules_expect_coarse_scores() -> None:
    assert map_warnings(inspected(eight_bits(batch_of_maps()), preset="paper")) == []
