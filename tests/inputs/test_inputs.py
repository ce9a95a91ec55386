"""Inputs that are given together: manifests that name maps, boxes, and places to ignore."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.inputs import check_inputs

RAMP = np.arange(24, dtype=np.float32).reshape(4, 6)


def _save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("photos/a", "photos/b", "normals/n"):
        _save(tmp_path / f"{name}.png", np.zeros((8, 12), np.uint8))
    for name in ("maps/a", "maps/b", "normal_maps/n"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", RAMP)
    return tmp_path


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _right_half(folder: Path, size: tuple[int, int] = (8, 12)) -> Path:
    pixels = np.zeros(size, np.uint8)
    pixels[:, size[1] // 2 :] = 255
    return _save(folder, pixels)


def test_maps_come_with_a_manifest(folder: Path) -> None:
    rows = ("photos/a.png,maps/a.npy,test", "normals/n.png,normal_maps/n.npy,train")
    path = _write(folder / "images.csv", "image,anomaly_map,split", *rows)
    inputs = check_inputs(path, normals=path)
    assert inputs.maps is not None
    assert inputs.normal_maps is not None
    assert inputs.images.names == ("photos/a",)
    assert inputs.normals is not None
    assert inputs.normals.names == ("normals/normals/n",)
    np.testing.assert_array_equal(inputs.maps[0], RAMP)
    np.testing.assert_array_equal(inputs.normal_maps[0], RAMP)
    with pytest.raises(InputError, match="normal images next to given maps need maps of their own"):
        check_inputs(path, normals=folder / "normals")


def test_the_mask_column_is_used_only_where_it_is_given_as_masks(folder: Path) -> None:
    _right_half(folder / "m.png")
    path = _write(folder / "images.csv", "image,mask", "photos/a.png,m.png", "photos/b.png,")
    assert check_inputs(path).masks is None
    masks = check_inputs(path, masks=path).masks
    assert masks is not None
    assert [int(mask.sum()) for mask in masks] == [48, 0]


def test_one_mask_ignores_the_same_place_on_all_images_and_normals(folder: Path) -> None:
    inputs = check_inputs(
        folder / "photos",
        maps=folder / "maps",
        normals=folder / "normals",
        normal_maps=folder / "normal_maps",
        ignore=_right_half(folder / "fixture.png", (16, 24)),
    )
    wanted = RAMP.copy()
    wanted[:, 3:] = 0
    assert inputs.maps is not None
    assert inputs.normal_maps is not None
    for scores in (*inputs.maps, *inputs.normal_maps):
        np.testing.assert_array_equal(scores, wanted)
        assert scores.dtype == np.float32


def test_masks_leave_out_what_is_ignored(folder: Path) -> None:
    for name in "ab":
        _right_half(folder / f"masks/{name}.png")
    upper = np.zeros((8, 12), np.uint8)
    upper[:4] = 255
    _save(folder / "ignore/b_mask.png", upper)
    inputs = check_inputs(folder / "photos", masks=folder / "masks", ignore=folder / "ignore")
    assert inputs.masks is not None
    assert inputs.masks[0][:, 6:].all()
    assert inputs.masks[1][4:, 6:].all()
    assert not inputs.masks[1][:4].any()


def test_boxes_mark_and_boxes_are_ignored(folder: Path) -> None:
    boxes = _write(folder / "boxes.csv", "name,left,top,right,bottom", "b,0,0,7,8")
    border = _write(folder / "border.csv", "left,top,right,bottom", "0,0,12,2")
    inputs = check_inputs(folder / "photos", boxes=boxes, ignore=border)
    assert inputs.masks is not None
    assert [int(mask.sum()) for mask in inputs.masks] == [0, 42]
    ignored = check_inputs(folder / "photos", normals=folder / "normals", ignore=boxes)
    assert ignored.ignored is not None
    assert ignored.ignored_on_normals is None
    assert [bool(mask.any()) for mask in ignored.ignored] == [False, True]


def test_an_unusable_mask_is_found_at_once(folder: Path) -> None:
    _right_half(folder / "ignore/b.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"mask '.*b\.png' cannot be read \(the file is empty\)"):
        check_inputs(folder / "photos", ignore=folder / "ignore")


def test_combinations_that_mean_nothing(folder: Path) -> None:
    photos, maps = folder / "photos", folder / "maps"
    with pytest.raises(InputError, match="several of `maps`, `masks` and `boxes`"):
        check_inputs(photos, maps=maps, boxes=folder / "boxes.csv")
    with pytest.raises(InputError, match="next to given maps need maps of their own"):
        check_inputs(photos, maps=maps, normals=folder / "normals")
    with pytest.raises(InputError, match="`normal_maps` needs the normal images"):
        check_inputs(photos, maps=maps, normal_maps=maps)
    with pytest.raises(InputError, match="`normal_maps` needs maps of the images"):
        check_inputs(photos, normals=folder / "normals", normal_maps=maps)
    with pytest.raises(InputError, match=r"mask '.*nowhere\.png' does not exist"):
        check_inputs(photos, ignore=folder / "nowhere.png")


def test_an_argument_that_there_is_not_is_refused(folder: Path) -> None:
    with pytest.raises(TypeError, match="objects"):
        check_inputs(folder / "photos", objects=folder / "masks")


def test_masks_in_memory_are_refused_with_the_remedy() -> None:
    images = ImageSet.from_list([np.zeros((8, 8), np.uint8)])
    with pytest.raises(InputError, match="`masks` are of type list; give a folder, a manifest"):
        check_inputs(images, masks=[np.ones((8, 8), bool)])
