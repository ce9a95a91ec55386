"""Images are resized to the resolution that suits them, with their aspect ratio."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.backbone.pixels import area_sides, chosen_resolution, normalise, resize, to_tensor
from anomalyncd.config import DetectorConfig

CONFIG = DetectorConfig(layers=(0,))


@pytest.mark.parametrize("patch_size", [8, 14, 16])
@pytest.mark.parametrize("side", [64, 336, 512])
def test_images_of_up_to_512_px_get_the_least_resolution(side: int, patch_size: int) -> None:
    assert chosen_resolution(CONFIG, side**2, patch_size, is_cut_out=False) == 336
    assert chosen_resolution(CONFIG, side**2, patch_size, is_cut_out=True) == 504


@pytest.mark.parametrize(
    ("side", "is_cut_out", "expected"),
    [
        (768, False, 448),
        (768, True, 504),
        (1008, False, 588),
        (1008, True, 588),
        (1152, False, 672),
        (4000, True, 672),
    ],
)
def test_larger_images_get_a_patch_every_24_px(side: int, is_cut_out: bool, expected: int) -> None:
    assert chosen_resolution(CONFIG, side**2, 14, is_cut_out) == expected


@pytest.mark.parametrize("side", [100, 4000])
def test_the_resolution_of_the_config_is_used_for_all_images(side: int) -> None:
    assert chosen_resolution(DetectorConfig(resolution=280), side**2, 14, True) == 280


@given(st.integers(20, 4000), st.integers(20, 4000), st.sampled_from([1, 8, 14]))
def test_sides_have_the_area_and_the_aspect_ratio_in_whole_units(
    height: int, width: int, unit: int
) -> None:
    rows, columns = area_sides((height, width), 336, unit)
    assert rows % unit == columns % unit == 0
    scale = 336 / (height * width) ** 0.5
    assert rows == pytest.approx(max(unit, height * scale), abs=unit / 2 + 1e-6)
    assert columns == pytest.approx(max(unit, width * scale), abs=unit / 2 + 1e-6)


def test_shrinking_averages_and_growing_interpolates() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    blocks = image.reshape(3, 2, 4, 2, 3).mean((1, 3))
    assert np.abs(resize(image, 3, 4) - blocks).max() <= 0.5
    larger = resize(image, 12, 16)
    assert larger.shape == (12, 16, 3)
    assert len(np.unique(larger)) > len(np.unique(image))


def test_colours_are_normalised_by_imagenet() -> None:
    images = np.full((1, 2, 2, 3), (0, 128, 255), np.uint8)
    tensor = to_tensor(images)
    assert tensor.shape == (1, 3, 2, 2)
    expected = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    torch.testing.assert_close(normalise(tensor)[0, :, 0, 0], torch.tensor(expected))
