"""Crops of images, and of the masks and maps that lie over them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anomalyncd.config import Config, CropConfig, RegionConfig
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.crops import Overlays, crop, read_crops
from anomalyncd.regions.table import CodedMasks, Regions

SIZE = (60, 80)
BOXES = np.array([[10, 8, 50, 48], [-8, -4, 32, 36], [50, 30, 90, 70]], np.float64)
Y, X = np.indices(SIZE)
TOP = Y < 20
_EDGES = st.integers(-80, 80).map(lambda quarter: quarter / 4)
_SIDES = st.integers(1, 90)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), _EDGES, _EDGES, _SIDES)
def test_zero_filled_crops_are_those_of_pillow(
    height: int, width: int, left: float, top: float, side: int
) -> None:
    image = np.random.default_rng(0).integers(1, 255, (height, width, 3), np.uint8)
    box = np.array([left, top, left + side, top + side])
    expected = np.asarray(Image.fromarray(image).crop(tuple(box.tolist())))
    assert np.array_equal(crop(image, box, "zero"), expected)
    assert np.array_equal(crop(image[..., 0] > 99, box, "zero"), expected[..., 0] > 99)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), *[st.integers(0, 30)] * 4)
def test_reflection_is_that_of_numpy(
    height: int, width: int, left: int, top: int, right: int, bottom: int
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    box = np.array([-left, -top, width + right, height + bottom], np.float64)
    padding = ((top, bottom), (left, right), (0, 0))
    expected = np.pad(image, padding, "reflect")
    assert np.array_equal(crop(image, box, "reflect"), expected)


def test_a_crop_inside_the_image_is_not_copied() -> None:
    image = np.zeros((9, 9), np.uint8)
    assert np.shares_memory(crop(image, np.array([1.0, 2, 5, 6]), "reflect"), image)
    assert crop(image[:1], np.array([-3.0, -4, 5, 4]), "reflect").shape == (8, 8)


def _config(rules: str, side: int) -> Config:
    return Config(regions=RegionConfig(rules=rules), crops=CropConfig(load_size=side, size=side))


def _grey(levels: np.ndarray) -> ImageSet:
    """One image that shows levels 0..1 as grey."""
    return ImageSet.from_list([np.repeat((255 * levels)[..., None], 3, -1).astype(np.uint8)])


def _regions(mask: np.ndarray, boxes: np.ndarray = BOXES) -> Regions:
    n = len(boxes)
    ones = np.ones(n, np.int64)
    regions = Regions(np.zeros(n, np.int64), boxes, ones, ones.astype(np.float32), ones > 0)
    return replace(regions, masks=CodedMasks((encode_mask(mask),)))


def _rectangle(images: ImageSet, *box: float) -> Masks:
    return Masks(images, (np.array([box]),))


@pytest.mark.parametrize("rules", ["default", "paper"])
def test_foreground_masks_are_cut_as_images_are(rules: str) -> None:
    images = _grey((X >= 20) & (X < 60) & (Y >= 12) & (Y < 44))
    regions, overlays = _regions(~TOP & TOP), Overlays(_rectangle(images, 20, 12, 60, 44))
    for cut in read_crops(images, regions, _config(rules, 32), overlays):
        assert cut.foreground_mask is not None
        np.testing.assert_allclose(cut.foreground_mask, cut.image[..., 0] / 255, atol=0.01)
        assert 0 < cut.foreground_mask.mean() < 1


@pytest.mark.parametrize("rules", ["default", "paper"])
def test_maps_are_cut_as_masks_are(rules: str) -> None:
    scores = (X / SIZE[1]).astype(np.float32)
    images, regions, config = _grey(scores), _regions(TOP), _config(rules, 32)

    def cut_with(levels: np.ndarray) -> list[np.ndarray | None]:
        overlays = Overlays(scores=lambda _: levels)
        return [cut.anomaly_map for cut in read_crops(images, regions, config, overlays)]

    inside = next(read_crops(images, regions, config)).image[..., 0] / 255
    np.testing.assert_allclose(cut_with(scores)[0], inside, atol=0.01)
    np.testing.assert_allclose(cut_with(scores[::2, ::2])[0], inside, atol=0.02)
    masks = [cut.mask for cut in read_crops(images, regions, config)]
    np.testing.assert_array_equal(cut_with(TOP.astype(np.float32)), masks)


@pytest.mark.parametrize(("rules", "outside"), [("default", 255), ("paper", 0)])
def test_pixels_outside_the_image_are_reflected_or_black(rules: str, outside: int) -> None:
    box = np.array([[-40, -30, 40, 50]], np.float64)
    (cut,) = read_crops(_grey(np.ones(SIZE)), _regions(TOP, box), _config(rules, 80))
    assert (cut.image[30:, 40:] == 255).all()
    assert (cut.image[:30] == outside).all()
    assert (cut.image[:, :40] == outside).all()
    assert np.array_equal(cut.mask, np.pad(TOP[:50, :40], ((30, 0), (40, 0))))


def test_a_crop_that_is_not_square_is_cut_to_its_first_corner() -> None:
    levels = (X >= 30).astype(np.float64)
    wide = np.array([[0, 0, 60, 20]], np.float64)
    (cut,) = read_crops(_grey(levels), _regions(TOP, wide), _config("paper", 20))
    assert cut.image.shape == (20, 20, 3)
    assert cut.image.max() == 0


@pytest.mark.parametrize(
    ("side", "method"), [(16, cv2.INTER_AREA), (100, cv2.INTER_LINEAR)], ids=["down", "up"]
)
def test_crops_are_reduced_by_area_and_enlarged_linearly(side: int, method: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    (cut,) = read_crops(
        ImageSet.from_list([pixels]), _regions(TOP, BOXES[:1]), _config("default", side)
    )
    expected = cv2.resize(pixels[8:48, 10:50], (side, side), interpolation=method)
    np.testing.assert_array_equal(cut.image, expected)


def test_the_anomaly_and_its_surroundings_are_foreground() -> None:
    mask = np.zeros(SIZE, bool)
    mask[30, 30] = True
    images = _grey(np.zeros(SIZE))
    overlays = Overlays(_rectangle(images, 0, 0, 12, 60), reach=3)
    (cut,) = read_crops(images, _regions(mask, BOXES[:1]), _config("default", 40), overlays)
    expected = np.zeros((40, 40))
    expected[:, :2] = 1  # the given foreground
    expected[19:26, 17:24] = 1  # three pixels around row 30 - 8, column 30 - 10
    np.testing.assert_array_equal(cut.foreground_mask, expected)


def test_an_empty_foreground_mask_takes_the_whole_image() -> None:
    images = _grey(np.zeros(SIZE))
    overlays = Overlays(Masks(images, (None,)))
    cut, *_ = read_crops(images, _regions(TOP), _config("paper", 32), overlays)
    assert cut.foreground_mask is not None
    assert cut.foreground_mask.min() == 1
