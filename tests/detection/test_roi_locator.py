"""The rectangle around the product follows its place, and its pose where there are several."""

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.detection.roi_locator import RoiLocator, fit_roi_locator
from support.token_maps import GRID, SIZE, block, club, tokens_of

ANGLES = np.linspace(-3, 3, 12)


def fitted(masks: list[NDArray[np.bool_]]) -> RoiLocator | None:
    pictures = [tokens_of(mask, seed) for seed, mask in enumerate(masks)]
    return fit_roi_locator(pictures, [SIZE] * len(masks))


def framing_of(masks: list[NDArray[np.bool_]]) -> RoiLocator:
    framing = fitted(masks)
    assert framing is not None
    return framing


def within(
    frame: RegionOfInterest, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positions in the image, px, as shares of the frame's width and height, (N, 2)."""
    whole = np.vstack([frame.to_image(), [0, 0, 1]])
    moved = np.linalg.inv(whole) @ np.vstack([x, y, np.ones_like(x)])
    return moved[:2].T / np.array([frame.size[1], frame.size[0]])


def corners(mask: NDArray[np.bool_], frame: RegionOfInterest) -> NDArray[np.float64]:
    """Of all marked patches, see `within`."""
    rows, columns = (one.astype(float) for one in mask.nonzero())
    side = SIZE[0] / GRID[0]
    shifts = [(0, 0), (0, 1), (1, 0), (1, 1)]
    return np.concatenate(
        [within(frame, (columns + x) * side, (rows + y) * side) for x, y in shifts]
    )


def test_upright_products_are_not_turned() -> None:
    masks = [block(4 + i, 20 - 2 * i, 20, 8) for i in range(8)]
    framing = framing_of(masks)
    assert not framing.rotated
    # 20 x 8 patches of the 40 x 40 and one more on each side
    assert framing.size == pytest.approx((22 / 40, 10 / 40))
    for mask in masks:
        frame = framing.locate(tokens_of(mask), SIZE)
        assert frame.angle == 0
        assert frame.size == (176, 80)
        rows, columns = mask.nonzero()
        middle = ((columns.mean() + 0.5) * 8, (rows.mean() + 0.5) * 8)
        assert frame.centre == pytest.approx(middle)


def test_upright_frames_stay_within_the_picture() -> None:
    framing = framing_of([block(4 + i, 20 - 2 * i, 20, 8) for i in range(8)])
    frame = framing.locate(tokens_of(block(18, 31, 20, 8)), SIZE)
    assert frame.centre == pytest.approx((31 * 8 + 4 * 8, 18 * 8 + 10 * 8), abs=8)
    edge = framing.locate(tokens_of(block(0, 0, 20, 8)), SIZE)
    assert edge.centre == pytest.approx((40, 88))


def test_long_products_in_all_poses_are_turned_into_one() -> None:
    masks = [club(angle) for angle in ANGLES]
    framing = framing_of(masks)
    assert framing.rotated
    assert framing.size[1] > 2 * framing.size[0]
    for angle in np.linspace(0, 6, 17):
        centre = (18.3, 21.6)
        mask = club(float(angle), centre)
        frame = framing.locate(tokens_of(mask), SIZE)
        assert np.cos(frame.angle - angle) > 0.99
        assert corners(mask, frame).min() >= 0
        assert corners(mask, frame).max() <= 1
        thick = np.array([centre]).T * 8 + 64 * np.array([[np.cos(angle)], [np.sin(angle)]])
        assert within(frame, *thick)[0] == pytest.approx([0.8, 0.5], abs=0.06)


def test_long_products_in_one_pose_are_left_in_it() -> None:
    framing = framing_of([club(0.4 + shift / 20) for shift in range(8)])
    assert not framing.rotated
    assert framing.locate(tokens_of(club(0.5)), SIZE).angle == 0


def test_round_products_are_not_turned() -> None:
    y, x = np.mgrid[: GRID[0], : GRID[1]]
    masks = [np.hypot(x - 15 - i, y - 24 + i) < 6 for i in range(8)]
    assert not framing_of(masks).turned


def test_products_that_fill_most_of_the_picture_are_seen_whole() -> None:
    assert fitted([block(4, 4, 30, 30)] * 6) is None
    assert fitted([block(4, 4, 22, 22)] * 6) is not None


def test_frame_is_as_large_as_the_largest_product_needs() -> None:
    masks = [block(8, 8, 10, 10)] * 7
    larger = framing_of([*masks, block(8, 8, 16, 12)])
    assert larger.size == pytest.approx((18 / 40, 14 / 40))


@pytest.mark.parametrize("turned", [False, True])
def test_frame_of_a_picture_without_product_lies_in_its_middle(turned: bool) -> None:
    masks = [club(float(angle) if turned else 0.2) for angle in ANGLES]
    framing = framing_of(masks)
    assert framing.rotated == turned
    frame = framing.locate(tokens_of(np.zeros(GRID, bool)), SIZE)
    assert (frame.centre, frame.angle) == ((160, 160), 0)
    assert frame.size == framing.locate(tokens_of(masks[0]), SIZE).size


def test_pictures_may_differ_in_size() -> None:
    """The frame's size goes with the picture, its place with the product."""
    framing = framing_of([block(8 + i, 8, 10, 12) for i in range(6)])
    small = framing.locate(tokens_of(block(8, 8, 10, 12)), SIZE)
    large = framing.locate(tokens_of(block(8, 8, 10, 12)), (640, 640))
    assert large.size == (2 * small.size[0], 2 * small.size[1])
    assert large.centre == pytest.approx((2 * small.centre[0], 2 * small.centre[1]))
