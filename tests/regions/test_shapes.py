"""Size and elongation of a mask."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd.config import RegionConfig
from anomalyncd.regions.finding import regions_from_mask
from anomalyncd.regions.shapes import measure_shape


def ellipse(long: float, short: float, angle: float) -> NDArray[np.bool_]:
    canvas = np.zeros((200, 200), np.uint8)
    cv2.ellipse(canvas, ((100, 100), (long, short), angle), 1, -1)
    return canvas > 0


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_elongation_is_the_ratio_of_the_axes_in_any_direction(angle: float) -> None:
    area, elongation = measure_shape(ellipse(120, 30, angle), 200 * 200)

    assert np.exp(elongation) == pytest.approx(4, rel=0.05)
    assert np.exp(area) == pytest.approx(np.pi * 60 * 15 / 200**2, rel=0.05)


def test_a_single_pixel_is_not_elongated() -> None:
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True

    assert measure_shape(mask, 100) == (pytest.approx(np.log(0.01)), pytest.approx(0))


def test_only_the_largest_component_is_measured() -> None:
    mask = ellipse(60, 60, 0)
    with_speck = mask.copy()
    with_speck[:2, :2] = True

    assert measure_shape(with_speck, mask.size) == measure_shape(mask, mask.size)


def test_an_empty_mask_has_no_shape() -> None:
    assert np.isnan(measure_shape(np.zeros((4, 4), bool), 16)).all()


def test_regions_have_the_shape_of_the_mask_in_their_box() -> None:
    mask = np.zeros((400, 400), bool)
    mask[20:30, 20:60] = True
    mask[300:340, 300:340] = True
    regions = regions_from_mask(mask, (400, 400), RegionConfig())

    np.testing.assert_allclose(np.exp(regions.shape[:, 1]), [1, 4], rtol=0.01)
    np.testing.assert_allclose(np.exp(regions.shape[:, 0]), [0.01, 0.0025])
    assert np.isnan(regions_from_mask(~mask & mask, (400, 400), RegionConfig()).shape).all()
