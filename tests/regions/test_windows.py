"""On large images, regions are relative to a tile, and maps are looked at window by window."""

import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest

from anomalyncd.config import Config, RegionConfig
from anomalyncd.detection.tiles import chosen_tile_side
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.regions.crops import read_crops
from anomalyncd.regions.finding import regions_from_mask, regions_of_maps
from anomalyncd.regions.inspection import inspect_maps
from anomalyncd.regions.outlines import outline, sharpen
from anomalyncd.regions.table import CodedMasks
from anomalyncd.regions.windows import fit_score_range_of, with_looked_at_side

SIZE = (2400, 600)
PLACES = [(200, 100), (700, 500), (1300, 300), (1800, 80), (2300, 420)]


def scan_maps() -> AnomalyMaps:
    """Maps of two scans; the first has five defects, the second none."""
    rng = np.random.default_rng(0)
    maps = [cv2.GaussianBlur(rng.random(SIZE).astype(np.float32), (0, 0), 4) for _ in range(2)]
    for number, (y, x) in enumerate(PLACES):
        cv2.circle(maps[0], (x, y), 14, 1.0 + 0.1 * number, -1)
    return AnomalyMaps(("a", "b"), tuple(maps))


@pytest.mark.parametrize("rules", ["default", "paper"])
def test_the_smallest_region_is_a_share_of_a_tile(rules: str) -> None:
    mask = np.zeros((2048, 512), bool)
    mask[1000:1040, 200:212] = True
    config = RegionConfig(rules)  # type: ignore[arg-type]
    (whole,) = regions_from_mask(mask, mask.shape, config).box
    (box,) = regions_from_mask(mask, mask.shape, replace(config, of_side=448)).box
    assert whole[2] - whole[0] == pytest.approx(410, abs=2)
    assert box[2] - box[0] == box[3] - box[1] == pytest.approx(90, abs=2)
    assert box[0] <= 200
    assert box[1] <= 1000
    assert box[2] >= 212
    assert box[3] >= 1040


def test_an_image_without_a_region_is_not_taken_whole() -> None:
    mask = np.zeros((8192, 512), bool)
    (box,) = regions_from_mask(mask, mask.shape, RegionConfig(of_side=448)).box
    assert max(box[2] - box[0], box[3] - box[1]) <= 512
    assert regions_from_mask(mask, mask.shape, RegionConfig()).box[0, 3] == 8192


def test_given_maps_and_masks_follow_the_sizes_of_the_images() -> None:
    large, ordinary = np.array([(16384, 2048)] * 2), np.array([(1024, 1024)] * 2)
    side = chosen_tile_side(large, Config().detector)
    assert with_looked_at_side(Config(), side).regions.of_side == 448
    assert with_looked_at_side(Config(), chosen_tile_side(ordinary, Config().detector)) == Config()
    own = Config(regions=RegionConfig(of_side=99))
    assert with_looked_at_side(own, side) is own


def test_several_defects_of_one_scan_are_found_each_with_its_threshold() -> None:
    maps, sizes = scan_maps(), np.array([SIZE] * 2)
    config = with_looked_at_side(Config(), 300)
    score_range = fit_score_range_of(maps, sizes, config, None)
    regions = regions_of_maps(maps, sizes, score_range, config.mebin, config.regions)
    found = regions.select((regions.image == 0) & regions.found)
    assert len(found) == len(PLACES)
    for y, x in PLACES:
        inside = (found.box[:, 0] <= x) & (x <= found.box[:, 2])
        inside &= (found.box[:, 1] <= y) & (y <= found.box[:, 3])
        assert inside.sum() == 1
    clean = regions.select(regions.image == 1)
    assert not clean.found.any()
    top, left = np.unravel_index(maps[1].argmax(), SIZE)
    assert any(b[0] <= left < b[2] and b[1] <= top < b[3] for b in clean.box)


def test_areas_are_those_of_the_defects_and_not_of_patches() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(120, 6, (*SIZE, 1)).repeat(3, axis=2)
    for y, x in PLACES:
        cv2.ellipse(image, ((x, y), (12, 40), 0), (60, 60, 60), -1)
    image = np.clip(image, 0, 255).astype(np.uint8)
    images = ImageSet.from_list([image, image], ["a", "b"])
    maps, sizes = scan_maps(), np.array([SIZE] * 2)
    config = with_looked_at_side(Config(), 300)
    score_range = fit_score_range_of(maps, sizes, config, None)
    regions = regions_of_maps(maps, sizes, score_range, config.mebin, config.regions)
    sharp = sharpen(regions, images, 300)
    truth = np.pi / 4 * 12 * 40
    ratios = sharp.area[(sharp.image == 0) & sharp.found] / truth
    assert (ratios > 0.5).all()
    assert (ratios < 1.5).all()
    assert np.array_equal(sharp.box, regions.box)
    assert sharp.masks[0].shape == SIZE


def test_an_outline_stays_where_the_image_shows_nothing() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (90, 90, 3), np.uint8)
    mask = np.zeros((90, 90), bool)
    mask[40:50, 40:50] = True
    assert np.array_equal(outline(np.full_like(image, 7), mask, 5), mask)
    assert np.array_equal(outline(image, ~mask, 90), ~mask)
    assert not outline(image, np.zeros_like(mask), 5).any()


def test_the_crop_of_a_long_scratch_takes_little_memory() -> None:
    image = np.full((16384, 64, 3), 90, np.uint8)
    image[:, 30:34] = 200
    mask = np.zeros((16384, 64), bool)
    mask[:, 30:34] = True
    regions = replace(
        regions_from_mask(mask, mask.shape, RegionConfig(of_side=64)),
        masks=CodedMasks((encode_mask(mask),)),
    )
    tracemalloc.start()
    (crop,) = read_crops(ImageSet.from_list([image]), regions, Config())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert crop.image.shape[0] == crop.image.shape[1]
    assert crop.mask.max() > 0
    assert peak < 300e6


def test_maps_of_scans_are_inspected_as_a_discovery_takes_them() -> None:
    images = [np.full((*SIZE, 3), 90, np.uint8) for _ in range(2)]
    for y, x in PLACES:
        images[0][y - 4 : y + 4, x - 4 : x + 4] = 220
    inputs = check_inputs(ImageSet.from_list(images, ["a", "b"]), maps=list(scan_maps().sources))
    regions = inspect_maps(inputs, Config()).regions
    assert regions.found.sum() == len(PLACES)
    assert max(regions.area[regions.found]) < 200
