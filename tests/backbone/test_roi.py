"""A frame cuts out what lies within it, upright or turned, and beyond the border of the image."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.backbone.roi import RegionOfInterest, between_centres
from support.quick import picture


def at(frame: RegionOfInterest, x: float, y: float) -> tuple[float, float]:
    """Where a position within the frame lies in the image."""
    moved = frame.to_image() @ np.array([x, y, 1.0])
    return float(moved[0]), float(moved[1])


def test_upright_frame_cuts_the_pixels_themselves() -> None:
    image = picture("spot", 3)
    frame = RegionOfInterest((30.0, 25.0), (20, 40))
    assert np.array_equal(frame.cut(image), image[15:35, 10:50])


def test_frame_of_the_whole_image_is_the_image() -> None:
    image = picture("line", 3)
    height, width = image.shape[:2]
    assert np.array_equal(
        RegionOfInterest((width / 2, height / 2), (height, width)).cut(image), image
    )


def test_quarter_turns_are_those_of_the_array() -> None:
    """The frame's x axis points down in the image, so that what is below comes to lie right."""
    image = picture("spot", 3)
    height, width = image.shape[:2]
    frame = RegionOfInterest((width / 2, height / 2), (width, height), np.pi / 2)
    cut = frame.cut(image).astype(int)
    assert np.abs(cut - np.rot90(image, 1)).max() <= 1


@given(st.floats(-3.1, 3.1), st.floats(-50, 150), st.floats(-50, 150))
def test_middle_is_the_centre_and_corners_lie_around_it(angle: float, x: float, y: float) -> None:
    frame = RegionOfInterest((x, y), (20, 60), angle)
    assert at(frame, 30, 10) == pytest.approx((x, y))
    right = at(frame, 60, 10)
    assert right == pytest.approx((x + 30 * np.cos(angle), y + 30 * np.sin(angle)))
    below = at(frame, 30, 20)
    assert below == pytest.approx((x - 10 * np.sin(angle), y + 10 * np.cos(angle)))


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5, np.pi])
def test_a_dot_is_cut_where_the_frame_has_it(angle: float) -> None:
    image = np.zeros((100, 140, 3), np.uint8)
    frame = RegionOfInterest((60.3, 45.8), (50, 70), angle)
    x, y = at(frame, 52.5, 14.5)
    cv2.circle(image, (round(x * 16 - 8), round(y * 16 - 8)), 64, (255,) * 3, -1, cv2.LINE_AA, 4)
    weights = frame.cut(image)[..., 0].astype(float)
    rows, columns = np.mgrid[:50, :70] + 0.5
    found = (weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()
    assert found == pytest.approx((52.5, 14.5), abs=0.3)


def test_beyond_the_border_its_pixels_go_on() -> None:
    image = picture("good", 3)
    cut = RegionOfInterest((0.0, 0.0), (20, 20)).cut(image)
    assert np.array_equal(cut[10:, 10:], image[:10, :10])
    assert (cut[:10, :10] == image[0, 0]).all()
    assert (cut[:10, 10:] == image[0, :10]).all()


def test_indices_lie_half_a_pixel_before_positions() -> None:
    doubled = np.array([[2.0, 0, 0], [0, 3.0, 0]])
    # The middle of the first pixel, 0.5, goes to 1 and 1.5, the indices 0.5 and 1.
    assert between_centres(doubled) @ np.array([0, 0, 1]) == pytest.approx([0.5, 1])
    assert np.array_equal(doubled, [[2, 0, 0], [0, 3, 0]])
