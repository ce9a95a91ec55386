"""Boxes in place of masks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.inputs.boxes import mask_of_boxes, read_boxes
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.masks import Masks


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    for name in ("hole/1", "hole/2", "good/1"):
        path = tmp_path / f"photos/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((6, 9), np.uint8)).save(path)
    return ImageSet.from_folder(tmp_path / "photos")


def _boxes(folder: Path, *lines: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_boxes_become_masks(tmp_path: Path, images: ImageSet) -> None:
    path = _boxes(
        tmp_path,
        "image;left;top;right;bottom;found",
        "hole\\1.png;1,5;2;4;3;True",
        "hole/1.png;-3;4;2;99;True",
        "photos/hole/2.png;0;0;1;1;True",
        "good/1.png;0;0;9;6;False",
    )
    masks = Masks.from_boxes(path, images)
    assert [int(mask.sum()) for mask in masks] == [0, 3 + 4, 1]
    assert masks[1].shape == (6, 9)
    np.testing.assert_array_equal(np.flatnonzero(masks[1][2]), [1, 2, 3])
    by_name = _boxes(tmp_path, "name,image,left,top,right,bottom", "hole/2,?,0,0,1,1")
    assert [int(mask.sum()) for mask in Masks.from_boxes(by_name, images)] == [0, 0, 1]


def test_boxes_of_all_parts(tmp_path: Path, images: ImageSet) -> None:
    path = _boxes(tmp_path, "left,top,right,bottom", "0,0,9,1", "0,0,1,6")
    assert [int(mask.sum()) for mask in Masks.from_boxes(path, images)] == [14, 14, 14]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name,left,top", "hole/1,1,2"], r"no column 'right' \(and 1 more\)"),
        (
            ["name,left,top,right,bottom", "hole/1,5,2,5,3"],
            "; give numbers with left",
        ),
        (["name,left,top,right,bottom", "hole/1,1,2,x,3"], "has an invalid box .*right 'x'"),
        (["name,left,top,right,bottom", "hole/1,1,2,inf,3"], "has an invalid box"),
        (["name,left,top,right,bottom", "hole/1,1,2,3,4", "x,1,2,3,4"], "box 'x' has no image"),
        (
            ["image,left,top,right,bottom", "x.png,1,2,3,4"],
            "no box belongs to an image: a box is named like 'x'",
        ),
    ],
)
def test_faults_are_named(tmp_path: Path, images: ImageSet, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_boxes(_boxes(tmp_path, *lines), images)


_SIDES = st.floats(-20, 20, allow_nan=False)


@given(_SIDES, _SIDES, st.floats(0.01, 20), st.floats(0.01, 20))
def test_a_mask_covers_every_pixel_a_box_touches(
    left: float, top: float, width: float, height: float
) -> None:
    right, bottom = left + width, top + height
    mask = mask_of_boxes(np.array([[left, top, right, bottom]]), 6, 9)
    rows, columns = np.mgrid[:6, :9]
    touched = (columns < right) & (columns + 1 > left) & (rows < bottom) & (rows + 1 > top)
    np.testing.assert_array_equal(mask, touched)
