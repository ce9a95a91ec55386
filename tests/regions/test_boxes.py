"""Boxes around the components of a mask, by the published rules and by ours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyncd.config import RegionConfig
from anomalyncd.regions.boxes import boxes_from_mask

PAPER, DEFAULT = RegionConfig("paper"), RegionConfig()


@pytest.fixture(scope="module")
def published():
    with np.load(Path(__file__).parents[1] / "golden" / "crops.npz") as archive:
        return dict(archive)


@pytest.mark.parametrize("case", range(8))
def test_paper_rules_reproduce_the_published_boxes(published, case):
    mask, n_regions = published[f"{case}_mask"] > 0, int(published[f"{case}_regions"])
    returned, merged = published[f"{case}_kept_ltrb"], published[f"{case}_merged_ltrb"]
    assert np.array_equal(boxes_from_mask(mask, n_regions, PAPER), returned)
    assert np.array_equal(boxes_from_mask(mask, len(merged), PAPER), merged)


@st.composite
def _masks(draw):
    height, width = draw(st.integers(1, 260)), draw(st.integers(1, 260))
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(0, 8))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, 60)), x : x + draw(st.integers(1, 60))] = True
    return mask


@settings(max_examples=150, deadline=None)
@given(_masks(), st.sampled_from([0.01, 0.1]))
def test_default_boxes_are_separate_squares_that_cover_every_defect(mask, gap):
    boxes = boxes_from_mask(mask, 0, RegionConfig(merge_gap=gap))
    height, width = mask.shape
    assert len(boxes) >= 1
    assert np.array_equal(boxes, boxes.round())
    left, top, right, bottom = boxes.astype(int).T
    sides = right - left
    assert np.array_equal(sides, bottom - top)
    assert (sides >= 1).all()
    assert (np.diff(sides) <= 0).all()
    assert sides.max() <= max(height, width)
    for start, end, length in ((left, right, width), (top, bottom, height)):
        fits = sides <= length
        assert (start[fits] >= 0).all()
        assert (end[fits] <= length).all()
        assert (np.abs(-start[~fits] - (end[~fits] - length)) <= 1).all()
    rest = mask.copy()
    for x0, y0, x1, y1 in zip(left, top, right, bottom, strict=True):
        rest[max(y0, 0) : y1, max(x0, 0) : x1] = False
    assert not rest.any()
    for i in range(len(boxes)):
        for j in range(i):
            lows, highs = boxes[[i, j], :2].max(axis=0), boxes[[i, j], 2:].min(axis=0)
            assert (lows - highs).max() >= 0
            assert np.hypot(*np.maximum(lows - highs, 0)) >= gap * max(height, width)


def _with_squares(shape, *squares):
    mask = np.zeros(shape, bool)
    for y, x, side in squares:
        mask[y : y + side, x : x + side] = True
    return mask


@pytest.mark.parametrize(("right", "n_boxes"), [(50, 2), (49, 1)])
def test_boxes_closer_than_the_gap_become_one(right, n_boxes):
    # Squares of 20 pixels, from 20 to 40 and from `right`; the gap is 10 pixels.
    config = RegionConfig(margin=1, merge_gap=0.1)
    mask = _with_squares((100, 100), (40, 20, 20), (40, right, 20))
    boxes = boxes_from_mask(mask, 0, config)
    assert len(boxes) == n_boxes
    if n_boxes == 2:
        assert boxes.tolist() == [[20, 40, 40, 60], [50, 40, 70, 60]]


@pytest.mark.parametrize(("left", "n_boxes"), [(150, 2), (149, 1)])
def test_published_boxes_closer_than_the_gap_become_one(left, n_boxes):
    # Squares of 40 pixels, from 50 to 90 and from `left` - 10; the gap is 50 pixels.
    config = RegionConfig("paper", merge_gap=0.05, min_half_side=0.02)
    mask = _with_squares((1000, 1000), (500, 60, 20), (500, left, 20))
    assert len(boxes_from_mask(mask, 9, config)) == n_boxes


def test_a_chain_becomes_one_region():
    columns = (30, 100, 170, 240)
    mask = _with_squares((400, 400), *((40, column, 20) for column in columns), (330, 330, 20))
    boxes = boxes_from_mask(mask, 0, DEFAULT)
    assert boxes.tolist() == [[18, 0, 271, 253], [300, 300, 380, 380]]
    # Published: each box with its direct neighbours, so the chain falls into two unions.
    assert len(boxes_from_mask(mask, 9, PAPER)) == 3


def test_of_equal_boxes_the_one_that_covers_more_of_the_mask_comes_first():
    mask = _with_squares((400, 400), (20, 20, 10), (20, 320, 30), (320, 20, 20))
    boxes = boxes_from_mask(mask, 0, DEFAULT)
    assert boxes[:, :2].tolist() == [[295, 0], [0, 290], [0, 0]]
    assert len(np.unique(boxes[:, 2] - boxes[:, 0])) == 1


def test_number_of_boxes():
    mask = _with_squares((400, 400), (20, 20, 10), (20, 320, 30), (320, 20, 20))
    assert len(boxes_from_mask(mask, 1, DEFAULT)) == 3
    assert len(boxes_from_mask(mask, 1, PAPER)) == 2
    for rules in ("paper", "default"):
        assert len(boxes_from_mask(mask, 1, RegionConfig(rules, max_per_image=1))) == 1


def test_without_a_defect_the_whole_image_is_the_region():
    empty = np.zeros((60, 101), bool)
    assert boxes_from_mask(empty, 0, PAPER).tolist() == [[0, 0, 101, 60]]
    assert boxes_from_mask(empty, 0, DEFAULT).tolist() == [[0, -21, 101, 80]]


def test_a_square_larger_than_the_short_side_overhangs_equally():
    mask = np.zeros((60, 200), bool)
    mask[5:15, 20:110] = True
    assert boxes_from_mask(mask, 1, DEFAULT).tolist() == [[15, -20, 114, 79]]


def test_thousands_of_specks():
    mask = np.random.default_rng(0).random((1500, 1500)) < 0.003
    n_specks = cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
    assert n_specks > 5000
    assert boxes_from_mask(mask, n_specks, DEFAULT).tolist() == [[0, 0, 1500, 1500]]
