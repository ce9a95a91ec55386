"""The size at which pictures are looked at follows from their own."""

import numpy as np
import pytest

from anomalyncd.backbone.pixels import chosen_resolution
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.patches import fit_patch_extractor
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet

LAYERS = DetectorConfig(layers=(0,))


@pytest.mark.parametrize("patch_size", [8, 14, 16])
@pytest.mark.parametrize("side", [64, 336, 512])
def test_pictures_of_up_to_512_px_get_the_least(side: int, patch_size: int) -> None:
    assert chosen_resolution(LAYERS, side**2, patch_size, framed=False) == 336
    assert chosen_resolution(LAYERS, side**2, patch_size, framed=True) == 504


@pytest.mark.parametrize(
    ("side", "framed", "expected"),
    [
        (768, False, 448),
        (768, True, 504),
        (1008, False, 588),
        (1008, True, 588),
        (1152, False, 672),
        (4000, True, 672),
    ],
)
def test_larger_pictures_get_a_patch_every_24_px(side: int, framed: bool, expected: int) -> None:
    assert chosen_resolution(LAYERS, side**2, 14, framed) == expected


def test_what_is_set_holds_whatever_the_pictures() -> None:
    for side in (100, 4000):
        assert chosen_resolution(DetectorConfig(resolution=280), side**2, 14, True) == 280


def test_mean_area_of_the_pictures_decides(encoder: RegionEncoder) -> None:
    rng = np.random.default_rng(0)
    sides = (800, 1600)
    images = ImageSet.from_list([rng.integers(0, 255, (one, one, 3), np.uint8) for one in sides])
    view, seen = fit_patch_extractor(encoder.vit, images, LAYERS)
    # 1265 px is the side of the mean area: 52 patches of 8 px.
    assert view.resolution == 416
    assert [one.features[0].shape[1:] for one in seen] == [(52, 52)] * 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_rotations", 3),
        ("map_size", 0),
    ],
)
def test_settings_that_cannot_be_used_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"detector.{name}="):
        DetectorConfig(**{name: value})
