"""Regions cut out: everything that lies over an image is cut as the image is."""

from dataclasses import replace

import numpy as np
import pytest

from anomalyncd.config import Config, CropConfig, RegionConfig
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.masks import Masks, encode_mask
from anomalyncd.regions.crops import Crop, Overlays, read_crops
from anomalyncd.regions.table import CodedMasks, Regions

SIZE = (60, 80)
SIDE = 32
BOXES = np.array([[10, 8, 50, 48], [-8, -4, 32, 36], [50, 30, 90, 70]], np.float64)
Y, X = np.indices(SIZE)


def _config(rules: str, side: int = SIDE) -> Config:
    return Config(regions=RegionConfig(rules=rules), crops=CropConfig(load_size=side))


def _parts(levels: np.ndarray) -> ImageSet:
    """One image whose picture shows levels 0..1 as grey."""
    return ImageSet.from_list([np.repeat((255 * levels)[..., None], 3, -1).astype(np.uint8)])


def _found(mask: np.ndarray) -> Regions:
    n = len(BOXES)
    regions = Regions(
        np.zeros(n, np.int64), BOXES, np.ones(n, np.int64), np.ones(n, np.float32), np.ones(n, bool)
    )
    return replace(regions, masks=CodedMasks((encode_mask(mask),)))


def _boxes(images: ImageSet, *boxes: tuple[int, int, int, int]) -> Masks:
    return Masks(images, (np.array(boxes, np.float64).reshape(-1, 4),))


@pytest.mark.parametrize("rules", ["default", "paper"])
def test_object_masks_are_cut_as_images_are(rules: str) -> None:
    product = (X >= 20) & (X < 60) & (Y >= 12) & (Y < 44)
    images = _parts(product)
    foreground, nothing = _boxes(images, (20, 12, 60, 44)), _found(np.zeros(SIZE, bool))
    for one in read_crops(images, nothing, _config(rules), Overlays(foreground)):
        assert one.foreground_mask is not None
        np.testing.assert_allclose(one.foreground_mask, one.image[..., 0] / 255, atol=0.01)
        assert 0 < one.foreground_mask.mean() < 1


@pytest.mark.parametrize("rules", ["default", "paper"])
def test_maps_are_cut_as_masks_are(rules: str) -> None:
    scores = (X / SIZE[1]).astype(np.float32)
    images = _parts(scores)
    inside, *_ = read_crops(
        images, _found(Y < 20), _config(rules), Overlays(scores=lambda _: scores)
    )
    assert inside.anomaly_map is not None
    np.testing.assert_allclose(inside.anomaly_map, inside.image[..., 0] / 255, atol=0.01)
    small = scores[::2, ::2]
    stretched, *_ = read_crops(
        images, _found(Y < 20), _config(rules), Overlays(scores=lambda _: small)
    )
    np.testing.assert_allclose(stretched.anomaly_map, inside.anomaly_map, atol=0.02)
    marked = (Y < 20).astype(np.float32)
    for one in read_crops(
        images, _found(Y < 20), _config(rules), Overlays(scores=lambda _: marked)
    ):
        np.testing.assert_array_equal(one.anomaly_map, one.mask)


def test_the_anomaly_and_its_surroundings_are_product() -> None:
    mask = np.zeros(SIZE, bool)
    mask[30, 30] = True
    images = _parts(np.zeros(SIZE))
    foreground = _boxes(images, (0, 0, 12, 60))
    boxed = _found(mask).select(slice(1))
    (one,) = read_crops(images, boxed, _config("default", 40), Overlays(foreground, reach=3))
    assert one.foreground_mask is not None
    expected = np.zeros((40, 40))
    expected[:, :2] = 1  # the object
    expected[19:26, 17:24] = 1  # three pixels around row 30 - 8, column 30 - 10
    np.testing.assert_array_equal(one.foreground_mask, expected)


def test_an_empty_object_mask_takes_everything_for_product() -> None:
    images = _parts(np.zeros(SIZE))
    crops: list[Crop] = list(
        read_crops(
            images,
            _found(np.zeros(SIZE, bool)),
            _config("paper"),
            Overlays(Masks(images, (None,))),
        )
    )
    assert crops[0].foreground_mask is not None
    assert crops[0].foreground_mask.min() == 1
