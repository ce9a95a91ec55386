"""A region of interest is cut out, upright or rotated, also beyond the borders of the image."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.backbone.roi import RegionOfInterest, between_centres
from support.quick import picture


def position_in_image(roi: RegionOfInterest, x: float, y: float) -> tuple[float, float]:
    """Where a position within the region lies in the image."""
    moved = roi.to_image() @ np.array([x, y, 1.0])
    return float(moved[0]), float(moved[1])


def test_an_upright_region_has_the_pixels_of_the_image() -> None:
    image = picture("spot", 3)
    roi = RegionOfInterest((30.0, 25.0), (20, 40))
    assert np.array_equal(roi.cut(image), image[15:35, 10:50])


def test_the_region_of_the_whole_image_is_the_image() -> None:
    image = picture("line", 3)
    height, width = image.shape[:2]
    roi = RegionOfInterest((width / 2, height / 2), (height, width))
    assert np.array_equal(roi.cut(image), image)


def test_an_angle_of_a_quarter_turn_rotates_the_array() -> None:
    """The x axis of the region points down in the image, so that what is below moves right."""
    image = picture("spot", 3)
    height, width = image.shape[:2]
    roi = RegionOfInterest((width / 2, height / 2), (width, height), np.pi / 2)
    assert np.abs(roi.cut(image).astype(int) - np.rot90(image, 1)).max() <= 1


@given(st.floats(-3.1, 3.1), st.floats(-50, 150), st.floats(-50, 150))
def test_corners_lie_around_the_centre(angle: float, x: float, y: float) -> None:
    roi = RegionOfInterest((x, y), (20, 60), angle)
    assert position_in_image(roi, 30, 10) == pytest.approx((x, y))
    right = position_in_image(roi, 60, 10)
    assert right == pytest.approx((x + 30 * np.cos(angle), y + 30 * np.sin(angle)))
    below = position_in_image(roi, 30, 20)
    assert below == pytest.approx((x - 10 * np.sin(angle), y + 10 * np.cos(angle)))


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5, np.pi])
def test_a_dot_is_cut_out_where_it_lies(angle: float) -> None:
    image = np.zeros((100, 140, 3), np.uint8)
    roi = RegionOfInterest((60.3, 45.8), (50, 70), angle)
    x, y = position_in_image(roi, 52.5, 14.5)
    cv2.circle(image, (round(x * 16 - 8), round(y * 16 - 8)), 64, (255,) * 3, -1, cv2.LINE_AA, 4)
    weights = roi.cut(image)[..., 0].astype(float)
    rows, columns = np.mgrid[:50, :70] + 0.5
    centre = (weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()
    assert centre == pytest.approx((52.5, 14.5), abs=0.3)


def test_outermost_pixels_repeat_beyond_the_borders() -> None:
    image = picture("good", 3)
    cut = RegionOfInterest((0.0, 0.0), (20, 20)).cut(image)
    assert np.array_equal(cut[10:, 10:], image[:10, :10])
    assert (cut[:10, :10] == image[0, 0]).all()
    assert (cut[:10, 10:] == image[0, :10]).all()


def test_quarter_turns_have_the_same_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 48, 3), np.uint8)
    roi = RegionOfInterest((24, 15), (30, 48))
    for quarters in range(4):
        # Content turns against the direction in which the region is rotated.
        expected = np.rot90(image, quarters)
        assert np.array_equal(roi.rotated(2 * quarters).cut(image), expected), quarters


def test_eighths_of_a_turn_keep_the_size_and_mirror_the_image_beyond_its_borders() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 39] = 255
    rotated = RegionOfInterest((20, 20), (40, 40)).rotated(1)
    assert rotated.size == (40, 40)
    # The last column fills a corner if it repeats; mirrored it is a line.
    assert rotated.cut(image).mean() < replace(rotated, mirrored=False).cut(image).mean() / 2


def test_indices_lie_half_a_pixel_before_positions() -> None:
    doubled = np.array([[2.0, 0, 0], [0, 3.0, 0]])
    # The centre of the first pixel, 0.5, goes to 1 and 1.5, the indices 0.5 and 1.
    assert between_centres(doubled) @ np.array([0, 0, 1]) == pytest.approx([0.5, 1])
    assert np.array_equal(doubled, [[2, 0, 0], [0, 3, 0]])
