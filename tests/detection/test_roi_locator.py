"""The region of interest follows the foreground, and its orientation if there are several."""

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.detection.roi_locator import RoiLocator, fit_roi_locator
from support.token_maps import GRID, SIZE, block, club, tokens_of

ANGLES = np.linspace(-3, 3, 12)


def fitted(masks: list[NDArray[np.bool_]]) -> RoiLocator | None:
    images = [tokens_of(mask, seed) for seed, mask in enumerate(masks)]
    return fit_roi_locator(images, [SIZE] * len(masks))


def locator_of(masks: list[NDArray[np.bool_]]) -> RoiLocator:
    locator = fitted(masks)
    assert locator is not None
    return locator


def within(
    roi: RegionOfInterest, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positions in the image, px, as shares of the width and height of the region, (N, 2)."""
    to_image = np.vstack([roi.to_image(), [0, 0, 1]])
    moved = np.linalg.inv(to_image) @ np.vstack([x, y, np.ones_like(x)])
    return moved[:2].T / np.array([roi.size[1], roi.size[0]])


def corners(mask: NDArray[np.bool_], roi: RegionOfInterest) -> NDArray[np.float64]:
    """The corners of all marked patches; see `within`."""
    rows, columns = (indices.astype(float) for indices in mask.nonzero())
    side = SIZE[0] / GRID[0]
    shifts = [(0, 0), (0, 1), (1, 0), (1, 1)]
    return np.concatenate([within(roi, (columns + x) * side, (rows + y) * side) for x, y in shifts])


def test_upright_foregrounds_are_not_rotated() -> None:
    masks = [block(4 + i, 20 - 2 * i, 20, 8) for i in range(8)]
    locator = locator_of(masks)
    assert not locator.rotated
    # 20 x 8 of 40 x 40 patches, and one more on each side
    assert locator.size == pytest.approx((22 / 40, 10 / 40))
    for mask in masks:
        roi = locator.locate(tokens_of(mask), SIZE)
        assert roi.angle == 0
        assert roi.size == (176, 80)
        rows, columns = mask.nonzero()
        assert roi.centre == pytest.approx(((columns.mean() + 0.5) * 8, (rows.mean() + 0.5) * 8))


@pytest.mark.parametrize(
    ("top", "left", "centre"),
    [
        (18, 31, (280, 224)),
        (0, 0, (40, 88)),
        (20, 32, (280, 232)),
        (0, 16, (160, 88)),
        (10, 32, (280, 160)),
    ],
)
def test_upright_regions_stay_inside_the_image(
    top: int, left: int, centre: tuple[int, int]
) -> None:
    locator = locator_of([block(4 + i, 20 - 2 * i, 20, 8) for i in range(8)])
    roi = locator.locate(tokens_of(block(top, left, 20, 8)), SIZE)
    assert roi.centre == pytest.approx(centre)


def test_elongated_foregrounds_are_aligned() -> None:
    locator = locator_of([club(angle) for angle in ANGLES])
    assert locator.rotated
    assert locator.size[1] > 2 * locator.size[0]
    for angle in np.linspace(0, 6, 17):
        centre = (18.3, 21.6)
        mask = club(float(angle), centre)
        roi = locator.locate(tokens_of(mask), SIZE)
        assert np.cos(roi.angle - angle) > 0.99
        assert corners(mask, roi).min() >= 0
        assert corners(mask, roi).max() <= 1
        thick_end = np.array([centre]).T * 8 + 64 * np.array([[np.cos(angle)], [np.sin(angle)]])
        assert within(roi, *thick_end)[0] == pytest.approx([0.8, 0.5], abs=0.06)


def test_elongated_foregrounds_of_one_orientation_are_not_rotated() -> None:
    locator = locator_of([club(0.4 + shift / 20) for shift in range(8)])
    assert not locator.rotated
    assert locator.locate(tokens_of(club(0.5)), SIZE).angle == 0


def test_round_foregrounds_are_not_rotated() -> None:
    y, x = np.mgrid[: GRID[0], : GRID[1]]
    masks = [np.hypot(x - 15 - i, y - 24 + i) < 6 for i in range(8)]
    assert not locator_of(masks).rotated


def test_there_is_no_region_for_foregrounds_that_fill_most_of_the_image() -> None:
    assert fitted([block(4, 4, 30, 30)] * 6) is None
    assert fitted([block(4, 4, 22, 22)] * 6) is not None


def test_the_region_is_as_large_as_the_largest_foreground() -> None:
    masks = [block(8, 8, 10, 10)] * 7
    larger = locator_of([*masks, block(8, 8, 16, 12)])
    assert larger.size == pytest.approx((18 / 40, 14 / 40))


@pytest.mark.parametrize("rotated", [False, True])
def test_without_a_foreground_the_region_lies_in_the_middle(rotated: bool) -> None:
    masks = [club(float(angle) if rotated else 0.2) for angle in ANGLES]
    locator = locator_of(masks)
    assert locator.rotated == rotated
    roi = locator.locate(tokens_of(np.zeros(GRID, bool)), SIZE)
    assert (roi.centre, roi.angle) == ((160, 160), 0)
    assert roi.size == locator.locate(tokens_of(masks[0]), SIZE).size


def test_the_size_of_the_region_is_proportional_to_the_image() -> None:
    locator = locator_of([block(8 + i, 8, 10, 12) for i in range(6)])
    small = locator.locate(tokens_of(block(8, 8, 10, 12)), SIZE)
    large = locator.locate(tokens_of(block(8, 8, 10, 12)), (640, 640))
    assert large.size == (2 * small.size[0], 2 * small.size[1])
    assert large.centre == pytest.approx((2 * small.centre[0], 2 * small.centre[1]))
