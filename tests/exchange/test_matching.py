"""Labels find the regions that they are about, and none is lost in silence."""

import math

import numpy as np
import pandas as pd
import pytest

from anomalyncd.exchange.matching import MatchedLabels, match_regions
from anomalyncd.exchange.reading import ROW_COLUMNS

REGIONS = pd.DataFrame(
    [
        (1, "a", 0, 0, 20, 20),
        (2, "a", 10, 0, 30, 20),
        (3, "a", 100, 100, 140, 140),
        (4, "b", 0, 0, 20, 20),
    ],
    columns=["id", "name", "left", "top", "right", "bottom"],
)
WHOLE = (math.nan,) * 4


def match(*rows: tuple[object, ...], marked: object = None) -> MatchedLabels:
    table = pd.DataFrame(
        [(region, name, *box, label, "", "here") for region, name, box, label in rows],
        columns=list(ROW_COLUMNS),
    )
    return match_regions(table, REGIONS, None if marked is None else np.array(marked))


def classes(matched: MatchedLabels) -> dict[int, str]:
    return dict(zip(matched.labels["id"], matched.labels["class_name"], strict=True))


def test_a_box_is_about_the_region_that_it_overlaps_most() -> None:
    matched = match(("", "a", (8, 0, 28, 20), "dent"))
    assert classes(matched) == {2: "dent"}
    assert matched.summary == "1 region got a class; every label found its region."


def test_a_small_box_is_about_the_only_region_around_its_middle() -> None:
    matched = match(("", "a", (120, 120, 124, 124), "dent"), ("", "a", (14, 9, 16, 11), "hole"))
    assert classes(matched) == {3: "dent"}
    assert matched.unmatched["reason"].tolist() == ["its middle lies in the boxes of 2 regions"]


def test_overlaps_with_the_boxes_of_anomalous_pixels_count() -> None:
    marked = [(14, 9, 16, 11), (25, 0, 30, 5), (100, 100, 140, 140), (0, 0, 20, 20)]
    assert classes(match(("", "a", (14, 9, 16, 11), "hole"), marked=marked)) == {1: "hole"}


def test_two_boxes_that_are_alike_are_about_two_regions() -> None:
    rows = ("", "a", (5, 0, 25, 20), "dent"), ("", "a", (4, 0, 24, 20), "hole")
    assert classes(match(*rows)) == {1: "hole", 2: "dent"}


def test_a_label_of_an_image_is_about_all_regions_without_their_own() -> None:
    matched = match(("", "a", WHOLE, "dirty"), ("2", "", WHOLE, "dent"), ("", "b", WHOLE, "good"))
    assert classes(matched) == {1: "dirty", 2: "dent", 3: "dirty", 4: "good"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("9", "a", WHOLE, "dent"), "there is no region 9"),
        (("", "c", WHOLE, "dent"), "there is no image of this name that has a region"),
        (("", "a", (200, 200, 210, 210), "dent"), "no region is there"),
        (("", "b", (0, 0, 20, 20), "dent"), "its region is 'hole' by another label"),
        (("", "b", WHOLE, "dent"), "all regions of the image have another label"),
        (("4", "b", WHOLE, ""), "it has no class"),
    ],
)
def test_a_label_that_is_about_no_region_is_reported(row: tuple[object, ...], reason: str) -> None:
    matched = match(("4", "", WHOLE, "hole"), row)
    assert classes(matched) == {4: "hole"}
    assert matched.unmatched["reason"].tolist() == [reason]
    assert "1 label found no region" in matched.summary
    assert reason in matched.summary


@pytest.mark.parametrize(
    ("row", "region"),
    [
        (("3", "a", WHOLE, "dent"), 3),
        (("3", "a", (100, 100, 140, 130), "dent"), 3),
        (("3", "", (100, 100, 140, 130), "dent"), 3),
        (("3", "a", (0, 0, 20, 20), "dent"), 1),
        (("3", "b", (0, 0, 20, 20), "dent"), 4),
        (("9", "b", (0, 0, 20, 20), "dent"), 4),
    ],
)
def test_an_id_counts_where_the_image_and_the_box_agree_with_it(
    row: tuple[object, ...], region: int
) -> None:
    matched = match(row)
    assert classes(matched) == {region: "dent"}
    assert matched.unmatched.empty


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("3", "b", WHOLE, "dent"), "region 3 is on another image"),
        (("3", "c", WHOLE, "dent"), "region 3 is on another image"),
        (("3", "", (0, 0, 20, 20), "dent"), "region 3 is at another place"),
        (("3", "c", (0, 0, 9, 9), "dent"), "there is no image of this name that has a region"),
        (("3", "b", (50, 50, 59, 59), "dent"), "no region is there"),
    ],
)
def test_an_id_of_another_run_is_not_trusted(row: tuple[object, ...], reason: str) -> None:
    matched = match(row)
    assert matched.labels.empty
    assert matched.unmatched["reason"].tolist() == [reason]


def test_several_polygons_of_one_region_agree() -> None:
    rows = [("", "a", (100 + x, 105, 105 + x, 110), "dent") for x in (0, 10, 20)]
    matched = match(*rows)
    assert classes(matched) == {3: "dent"}
    assert matched.unmatched.empty
