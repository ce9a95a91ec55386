from pathlib import Path

import numpy as np
import pytest

from anomalyncd.config import MebinConfig, RegionConfig
from anomalyncd.regions.finding import find_regions, regions_from_mask
from anomalyncd.regions.mebin import Binarised, binarise
from anomalyncd.regions.score_range import ScoreRange, fit_score_range
from anomalyncd.regions.table import (
    Regions,
)


def _binarised(mask, n_regions=1):
    return Binarised(mask, 0.5, n_regions, np.zeros(64, np.int64))


def test_paper_rules_reproduce_the_published_crops():
    config = MebinConfig("paper")
    with np.load(Path(__file__).parents[1] / "golden" / "mebin.npz") as golden:
        maps = [golden[f"map_{i}"] for i in range(12)]
        score_range = fit_score_range(maps, config)
        for i, anomaly_map in enumerate(maps):
            binarised = binarise(anomaly_map, score_range, config)
            for k in range(2):
                height, width = golden[f"crop_{i}_{k}_image_shape"].tolist()
                regions = find_regions(
                    i, anomaly_map, binarised, (height, width), score_range, RegionConfig("paper")
                )
                assert np.array_equal(regions.box, golden[f"crop_{i}_{k}_boxes_ltrb"])
                scores = golden[f"crop_{i}_{k}_scores"]
                assert np.allclose(regions.score, scores, rtol=0, atol=1e-6)
                assert regions.found.tolist() == [binarised.mask.any()] * len(scores)


def test_default_regions_of_a_part():
    scores = np.full((50, 80), 1.0)
    scores[10:16, 10:16], scores[40, 70] = 4.0, 3.0
    mask = scores > 2
    regions = find_regions(
        7, scores, _binarised(mask, 2), (100, 160), ScoreRange(1, 5), RegionConfig()
    )
    assert regions.image.tolist() == [7, 7]
    assert regions.box.tolist() == [[10, 10, 42, 42], [125, 65, 157, 97]]
    assert regions.area.tolist() == [144, 4]
    assert regions.score.tolist() == [0.75, 0.5]
    assert regions.found.tolist() == [True, True]
    assert [column.dtype for column in (regions.image, regions.box, regions.area)] == [
        np.int64, np.float64, np.int64,
    ]  # fmt: skip
    assert (regions.score.dtype, regions.found.dtype) == (np.float32, np.bool_)


@pytest.mark.parametrize("rules", ["paper", "default"])
def test_a_part_without_a_defect_has_the_whole_image_as_its_region(rules):
    scores = np.linspace(0, 1, 5000).reshape(50, 100)
    regions = find_regions(
        0,
        scores,
        _binarised(np.zeros((50, 100), bool), 0),
        (40, 30),
        ScoreRange(0, 2),
        RegionConfig(rules),
    )
    assert regions.found.tolist() == [False]
    assert regions.area.tolist() == [0]
    assert regions.score[0] == pytest.approx(0.5, abs=0.01)
    assert regions.box.tolist() == [[0, 0, 30, 40] if rules == "paper" else [-5, 0, 35, 40]]


@pytest.mark.parametrize("map_size", [(7, 5), (64, 64), (300, 500)])
def test_scores_follow_their_defect_at_any_resolution_of_the_map(map_size):
    scores = np.zeros(map_size, np.float32)
    size = max(1, map_size[0] // 50)
    scores[:size, :size], scores[-size:, -size:] = 0.4, 0.8
    regions = find_regions(
        0, scores, _binarised(scores > 0, 2), (150, 120), ScoreRange(0, 1), RegionConfig()
    )
    order = np.argsort(regions.box[:, 0])
    assert regions.score[order].tolist() == pytest.approx([0.4, 0.8])


@pytest.mark.parametrize("rules", ["paper", "default"])
def test_regions_from_a_mask_somebody_drew(rules):
    mask = np.zeros((200, 300), bool)
    mask[10:20, 10:30] = mask[150:190, 250:290] = True
    regions = regions_from_mask(3, mask, (400, 600), RegionConfig(rules))
    assert regions.area.tolist() == [800, 6400] if rules == "paper" else [6400, 800]
    assert regions.score.tolist() == [1, 1]
    empty = regions_from_mask(3, np.zeros((5, 5), bool), (400, 600), RegionConfig(rules))
    assert (empty.score.tolist(), empty.found.tolist()) == ([0], [False])
    assert len(regions_from_mask(3, mask, (400, 600), RegionConfig(rules, max_per_image=1))) == 1


def _tables():
    marked = np.zeros((90, 90), bool)
    marked[5:9, 5:9] = marked[80:85, 80:85] = True
    return [
        regions_from_mask(i, marked if i != 1 else ~marked & False, (90, 90), RegionConfig())
        for i in range(3)
    ]


def test_a_table_is_sliced_and_joined():
    tables = _tables()
    table = Regions.concatenate(tables)
    assert len(table) == 5
    assert table.image.tolist() == [0, 0, 1, 2, 2]
    assert np.array_equal(table.of_image(2).box, tables[2].box)
    assert table.select(table.found).image.tolist() == [0, 0, 2, 2]
    assert table.select(np.array([4, 0])).image.tolist() == [2, 0]
    assert len(table.select(slice(0, 0))) == 0


def test_a_table_becomes_a_data_frame():
    table = Regions.concatenate(_tables())
    frame = table.to_frame()
    names = ["image", "left", "top", "right", "bottom", "area", "score", "found"]
    assert list(frame.columns) == names
    assert np.array_equal(frame[["left", "top", "right", "bottom"]].to_numpy(), table.box)
    assert frame["found"].tolist() == table.found.tolist()
