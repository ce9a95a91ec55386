"""The table of regions: found in maps and masks, joined, selected, with its coded masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalyncd.config import MebinConfig, RegionConfig
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.finding import (
    find_regions,
    regions_from_mask,
    regions_of_maps,
    regions_of_masks,
)
from anomalyncd.regions.mebin import Binarised, binarise
from anomalyncd.regions.score_range import ScoreRange, fit_score_range
from anomalyncd.regions.table import CodedMasks, Regions, resize_mask


def _binarised(mask: np.ndarray, n_regions: int = 1) -> Binarised:
    return Binarised(mask, 0.5, n_regions, np.zeros(64, np.int64))


def test_paper_rules_reproduce_the_published_crops() -> None:
    config = MebinConfig("paper")
    with np.load(Path(__file__).parents[1] / "golden" / "mebin.npz") as golden:
        maps = [golden[f"map_{i}"] for i in range(12)]
        score_range = fit_score_range(maps, config)
        for i, anomaly_map in enumerate(maps):
            binarised = binarise(anomaly_map, score_range, config)
            for k in range(2):
                height, width = golden[f"crop_{i}_{k}_image_shape"].tolist()
                regions = find_regions(
                    anomaly_map, binarised, (height, width), score_range, RegionConfig("paper")
                )
                assert np.array_equal(regions.box, golden[f"crop_{i}_{k}_boxes_ltrb"])
                scores = golden[f"crop_{i}_{k}_scores"]
                assert np.allclose(regions.score, scores, rtol=0, atol=1e-6)
                assert regions.found.tolist() == [binarised.mask.any()] * len(scores)


def test_default_regions_of_an_image() -> None:
    scores = np.full((50, 80), 1.0)
    scores[10:16, 10:16], scores[40, 70] = 4.0, 3.0
    mask = scores > 2
    regions = find_regions(
        scores, _binarised(mask, 2), (100, 160), ScoreRange(1, 5), RegionConfig()
    )
    assert regions.box.tolist() == [[10, 10, 42, 42], [125, 65, 157, 97]]
    assert regions.area.tolist() == [144, 4]
    assert regions.score.tolist() == [0.75, 0.5]
    assert regions.found.tolist() == [True, True]
    columns = (regions.image, regions.box, regions.area, regions.score, regions.found)
    types = [np.int64, np.float64, np.int64, np.float32, np.bool_]
    assert [column.dtype for column in columns] == types


@pytest.mark.parametrize("rules", ["paper", "default"])
def test_an_image_without_a_defect_is_its_own_region(rules: str) -> None:
    scores = np.linspace(0, 1, 5000).reshape(50, 100)
    binarised = _binarised(np.zeros((50, 100), bool), 0)
    regions = find_regions(scores, binarised, (40, 30), ScoreRange(0, 2), RegionConfig(rules))
    assert regions.found.tolist() == [False]
    assert regions.area.tolist() == [0]
    assert regions.score[0] == pytest.approx(0.5, abs=0.01)
    assert regions.box.tolist() == [[0, 0, 30, 40] if rules == "paper" else [-5, 0, 35, 40]]


@pytest.mark.parametrize("map_size", [(7, 5), (64, 64), (300, 500)])
def test_scores_follow_their_defect_at_any_resolution_of_the_map(map_size: tuple[int, int]) -> None:
    scores = np.zeros(map_size, np.float32)
    size = max(1, map_size[0] // 50)
    scores[:size, :size], scores[-size:, -size:] = 0.4, 0.8
    binarised = _binarised(scores > 0, 2)
    regions = find_regions(scores, binarised, (150, 120), ScoreRange(0, 1), RegionConfig())
    order = np.argsort(regions.box[:, 0])
    assert regions.score[order].tolist() == pytest.approx([0.4, 0.8])


def test_a_score_counts_in_every_box_that_touches_its_pixel() -> None:
    scores = np.zeros((10, 10), np.float32)
    scores[3, 3], scores[2, 2], scores[4, 4], scores[5, 5] = 0.4, 0.5, 0.6, 0.7
    binarised = _binarised(scores == np.float32(0.4))
    regions = find_regions(scores, binarised, (100, 100), ScoreRange(0, 1), RegionConfig())
    assert regions.box.tolist() == [[25, 25, 45, 45]]
    assert regions.score.tolist() == pytest.approx([0.6])
    scores[4, 4] = 0
    lower = find_regions(scores, binarised, (100, 100), ScoreRange(0, 1), RegionConfig())
    assert lower.score.tolist() == pytest.approx([0.5])


@pytest.mark.parametrize("rules", ["paper", "default"])
def test_regions_of_a_given_mask(rules: str) -> None:
    mask = np.zeros((200, 300), bool)
    mask[10:20, 10:30] = mask[150:190, 250:290] = True
    regions = regions_from_mask(mask, (400, 600), RegionConfig(rules))
    assert regions.area.tolist() == [800, 6400] if rules == "paper" else [6400, 800]
    assert regions.score.tolist() == [1, 1]
    empty = regions_from_mask(np.zeros((5, 5), bool), (400, 600), RegionConfig(rules))
    assert (empty.score.tolist(), empty.found.tolist()) == ([0], [False])
    assert len(regions_from_mask(mask, (400, 600), RegionConfig(rules, max_per_image=1))) == 1


def _two_defects() -> np.ndarray:
    mask = np.zeros((90, 90), bool)
    mask[5:9, 5:9] = mask[80:85, 80:85] = True
    return mask


def test_tables_of_images_are_joined_and_selected() -> None:
    masks = [_two_defects(), np.zeros((90, 90), bool), _two_defects()]
    tables = [regions_from_mask(mask, mask.shape, RegionConfig()) for mask in masks]
    table = Regions.join(tables)
    assert len(table) == 5
    assert table.image.tolist() == [0, 0, 1, 2, 2]
    assert table.image.dtype == np.int64
    assert np.array_equal(table.select(table.image == 2).box, tables[2].box)
    assert table.select(table.found).image.tolist() == [0, 0, 2, 2]
    assert table.select(np.array([4, 0])).image.tolist() == [2, 0]
    assert len(table.select(slice(0, 0))) == 0


def test_masks_of_images_without_a_region_are_found_empty() -> None:
    images = ImageSet.from_list([np.zeros((90, 90, 3), np.uint8)] * 2)
    boxes = Masks(images, (np.array([[5.0, 5, 9, 9]]), None))
    regions = regions_of_masks(boxes, np.full((2, 2), 90), RegionConfig())
    assert (regions.counts.shape, regions.max_normal_score) == ((2, 0), 1)
    assert [regions.masks_found[index].sum() for index in range(2)] == [16, 0]


def test_ignored_pixels_have_no_region() -> None:
    scores = np.where(_two_defects(), 1.0, 0.0) + np.random.default_rng(0).random((90, 90)) / 9
    images = ImageSet.from_list([np.zeros((90, 90, 3), np.uint8)] * 2)
    upper = Masks(images, (np.array([[0.0, 0, 90, 45]]), None))
    config = MebinConfig(erosion=1, binarisation="fixed")
    maps = AnomalyMaps(images.names, (scores, scores), upper)
    regions = regions_of_maps(
        maps, np.full((2, 2), 90), ScoreRange(-9, 1, max_normal_level=-4), config, RegionConfig()
    )
    assert regions.max_normal_score == 0.5
    assert not regions.masks[0][:45].any()
    assert regions.masks[0][45:].all()
    assert regions.masks[1].all()


def test_masks_are_resized_by_nearest_neighbours() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = True
    assert np.array_equal(resize_mask(mask, (8, 12)), np.kron(mask, np.ones((2, 3))) > 0)
    # An average over area would mark the smaller mask as well.
    assert not resize_mask(mask, (2, 2)).any()


SHAPES = [(1, 1), (1, 9), (64, 64), (37, 53), (300, 7)]
MASKS = [np.random.default_rng(i).random(shape) < 0.4 for i, shape in enumerate(SHAPES)]


def test_coded_masks_are_decoded_without_loss() -> None:
    masks = CodedMasks(tuple(map(encode_mask, MASKS)))
    assert len(masks) == len(MASKS)
    for decoded, mask in zip(masks, MASKS, strict=True):
        assert decoded.dtype == np.bool_
        assert np.array_equal(decoded, mask)
    large = np.kron(_two_defects(), np.ones((6, 6), bool))
    assert len(encode_mask(large)) < large.size / 100


def test_saved_masks_are_black_and_white_images(tmp_path: Path) -> None:
    masks = CodedMasks(tuple(map(encode_mask, MASKS[2:4])))
    names = ["broken large/000.v2_crop", "gut/Prüfling"]
    masks.save(tmp_path / "masks", names)
    files = sorted(path for path in (tmp_path / "masks").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "masks").as_posix() for path in files] == [
        f"{name}.png" for name in names
    ]
    for path, mask in zip(files, MASKS[2:4], strict=True):
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(pixels, mask * np.uint8(255))
    with pytest.raises(ValueError, match="zip"):
        masks.save(tmp_path, ["a single name"])
