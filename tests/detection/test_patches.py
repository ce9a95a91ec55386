"""Patch features are read at the chosen resolution, in the region of interest and rotated."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.memory_bank import extend_memory_bank, fit_memory_bank
from anomalyncd.detection.patches import PatchFeatures, PatchReader, fit_patch_extractor
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.images.image_set import ImageSet
from support.hammers import HAMMERS, hammer
from support.quick import QUICK, picture

CONFIG = QUICK.detector


def test_vectors_are_those_of_all_patches_row_by_row() -> None:
    features = torch.arange(24.0).view(4, 2, 3)
    vectors = PatchFeatures([features], (300, 400), None).vectors()
    assert torch.equal(vectors[0], features.view(4, 6).T)


def test_the_mean_area_of_the_images_decides_on_the_resolution(encoder: RegionEncoder) -> None:
    rng = np.random.default_rng(0)
    images = ImageSet.from_list(
        [rng.integers(0, 255, (side, side, 3), np.uint8) for side in (800, 1600)]
    )
    extractor, features = fit_patch_extractor(encoder.vit, images, DetectorConfig(layers=(0,)))
    # 1265 px is the side of the mean area: 52 patches of 8 px.
    assert extractor.resolution == 416
    assert [of_image.features[0].shape[1:] for of_image in features] == [(52, 52)] * 2
    reader = PatchReader(encoder.vit, extractor, DetectorConfig(layers=(0,)))
    assert reader.read(images, 0).features[0].shape[1:] == (52, 52)


def test_the_features_of_the_fit_are_those_that_are_read(encoder: RegionEncoder) -> None:
    extractor, features = fit_patch_extractor(encoder.vit, HAMMERS, CONFIG)
    assert extractor.roi_locator is not None
    reader = PatchReader(encoder.vit, extractor, CONFIG)
    for index, fitted in enumerate(features):
        read = reader.read(HAMMERS, index)
        assert (read.size, read.roi) == (fitted.size, fitted.roi)
        assert all(torch.equal(*pair) for pair in zip(read.features, fitted.features, strict=True))


def test_a_rotated_product_is_aligned(encoder: RegionEncoder) -> None:
    extractor, _ = fit_patch_extractor(encoder.vit, HAMMERS, CONFIG)
    assert extractor.roi_locator is not None
    assert extractor.roi_locator.rotated
    reader = PatchReader(encoder.vit, extractor, CONFIG)
    for angle in (0.4, 2.0, -1.3):
        features = reader.read(ImageSet.from_list([hammer(angle, False, 70)]), 0)
        assert features.roi is not None
        assert np.cos(features.roi.angle - angle) > 0.95
        assert features.size == (128, 160)


def test_whole_images_are_read_if_the_config_says_so(encoder: RegionEncoder) -> None:
    config = replace(CONFIG, roi="image")
    extractor, _ = fit_patch_extractor(encoder.vit, HAMMERS, config)
    assert extractor.roi_locator is None
    features = PatchReader(encoder.vit, extractor, config).read(HAMMERS, 1)
    assert features.roi is None
    # 128 x 160 px at the area of 96 x 96 px, in patches of 8 px
    assert features.features[0].shape[1:] == (11, 13)


def wedge(quarters: int) -> np.ndarray:
    """A wide bright wedge on grey, rotated by quarter turns."""
    pixels = np.full((96, 128, 3), 110, np.uint8)
    for row in range(48):
        pixels[24 + row, 20 : 20 + 2 * row] = 240
    return np.ascontiguousarray(np.rot90(pixels, quarters))


@pytest.mark.parametrize(("n_rotations", "normal"), [(1, (0,)), (2, (0, 2)), (4, (0, 1, 2, 3))])
def test_a_rotated_image_is_normal_if_its_rotation_was_read(
    encoder: RegionEncoder, n_rotations: int, normal: tuple[int, ...]
) -> None:
    config = replace(CONFIG, n_rotations=n_rotations, roi="image")
    bank = fit_memory_bank(encoder.vit, ImageSet.from_list([wedge(0)]), config, 0)
    reader = PatchReader(encoder.vit, bank.extractor, config)
    for quarters in range(4):
        features = reader.read(ImageSet.from_list([wedge(quarters)]), 0).features
        highest = float(bank.patch_scores(features, "new").max())
        assert (highest < 0.1) == (quarters in normal), quarters


def test_all_rotations_belong_to_one_image(encoder: RegionEncoder, forwards: list[int]) -> None:
    config = replace(CONFIG, n_rotations=8, n_candidates=20_000)
    normals = ImageSet.from_list([picture("good", 1), picture("good", 2)], ["a", "b"])
    bank = fit_memory_bank(encoder.vit, normals, config, 0)
    assert len(forwards) == 2 * 8
    assert set(bank.names) == {"a", "b"}
    # An image that the bank contains in all rotations is not added again.
    assert extend_memory_bank(encoder.vit, bank, normals, config, 0).names == bank.names


def test_an_aligned_product_is_read_once(encoder: RegionEncoder) -> None:
    config = replace(CONFIG, n_rotations=4)
    extractor, _ = fit_patch_extractor(encoder.vit, HAMMERS, config)
    assert len(PatchReader(encoder.vit, extractor, config).read_rotated(HAMMERS, 0)) == 1


def test_an_upright_region_of_interest_is_rotated_about_its_centre(encoder: RegionEncoder) -> None:
    config = replace(CONFIG, n_rotations=4)
    extractor, _ = fit_patch_extractor(encoder.vit, HAMMERS, config)
    assert extractor.roi_locator is not None
    upright = replace(extractor, roi_locator=replace(extractor.roi_locator, rotated=False))
    rotations = PatchReader(encoder.vit, upright, config).read_rotated(HAMMERS, 0)
    rois = [features.roi for features in rotations if features.roi is not None]
    height, width = rois[0].size
    assert height != width
    assert [roi.size for roi in rois] == [(height, width), (width, height)] * 2
    assert {roi.centre for roi in rois} == {rois[0].centre}
