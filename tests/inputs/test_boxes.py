"""Boxes in place of masks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.boxes import mask_of_boxes, read_boxes
from anomalyncd.inputs.inputs import check_inputs
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


@pytest.fixture
def photos() -> ImageSet:
    """Images large enough that a box of one pixel is none that anybody draws."""
    return ImageSet.from_list([np.zeros((40, 60), np.uint8)] * 2, names=["a", "b"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,70,5,90,20", r"row 2 of '.*' marks 70\.\.90 \(x\), 5\.\.20 \(y\), outside"),
        ("a,5,41,20,50", "row 2 of .* outside image 'a'"),
        ("a,-30,5,0,20", "row 2 of .* outside image 'a'"),
        ("b,0.1,0.25,0.5,0.75", r"image 'b' .* seem relative \(0\.\.1\): .* multiply them"),
        ("b,0,0,1,1", "image 'b' .* seem relative"),
        ("b,30,5,10,20", r"invalid box in row 2 \(left '30', top '5'"),
        ("b,10,20,30,5", "invalid box in row 2"),
    ],
)  # fmt: skip
def test_a_box_that_marks_nothing_is_refused(
    tmp_path: Path, photos: ImageSet, row: str, message: str
) -> None:
    path = _boxes(tmp_path, "name,left,top,right,bottom", "a,50,30,70,60", row)
    with pytest.raises(InputError, match=message):
        check_inputs(photos, boxes=path)


def test_a_box_of_all_images_must_lie_on_each(tmp_path: Path) -> None:
    path = _boxes(tmp_path, "left,top,right,bottom", "45,0,50,20")
    images = ImageSet.from_list([np.zeros((40, 60), np.uint8), np.zeros((60, 40), np.uint8)])
    with pytest.raises(InputError, match=r"row 1 of .* outside image '001' of 40x60"):
        check_inputs(images, ignore=path)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("name,left,top,right,bottom", "b,10,5,30,20"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "b.png,60,40,dent,10,5,30,20"),
        ("Name;X1;Y1;X2;Y2", "b;10;5;30;20"),
        ("image,x,y,width,height", "b.png,10,5,20,15"),
        ("image,x,y,w,h", "b.png,10,5,20,15"),
    ],
)
def test_usual_names_of_columns(tmp_path: Path, photos: ImageSet, header: str, row: str) -> None:
    masks = check_inputs(photos, boxes=_boxes(tmp_path, header, row)).masks
    assert masks is not None
    wanted = np.zeros((40, 60), np.bool_)
    wanted[5:20, 10:30] = True
    np.testing.assert_array_equal(masks[1], wanted)
    assert not masks[0].any()


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
