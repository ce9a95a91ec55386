"""Parts from folders and lists."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd.data.parts import Parts, as_parts, check_parts
from anomalyncd.errors import InputError


def _save(path: Path, height: int = 6, width: int = 9, level: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height), level).save(path)
    return path


def test_a_plain_folder(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "a crop.v2.jpg", "c/d/é_crop.tif"):
        _save(tmp_path / name)
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    parts = Parts.from_folder(str(tmp_path))
    assert parts.names == ("a crop.v2", "b/10", "b/2", "c/d/é_crop")
    assert parts.root == tmp_path
    assert parts.paths[1] == str(tmp_path / "b" / "10.png")
    assert len(parts) == 4
    assert parts.image(3).shape == (6, 9, 3)


def test_an_mvtec_folder_holds_the_parts_in_test(tmp_path: Path) -> None:
    for name in ("train/good/000", "test/good/000", "test/hole/000", "ground_truth/hole/000_mask"):
        _save(tmp_path / f"{name}.png")
    parts = Parts.from_folder(tmp_path)
    assert parts.names == ("good/000", "hole/000")
    assert parts.root == tmp_path / "test"
    assert Parts.from_folder(tmp_path / "test").names == parts.names


def test_ground_truth_beside_classes_is_left_aside(tmp_path: Path) -> None:
    for name in ("hole/000", "ground_truth/hole/000"):
        _save(tmp_path / f"{name}.png")
    assert Parts.from_folder(tmp_path).names == ("hole/000",)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the path"):
        Parts.from_folder(tmp_path / "none")
    with pytest.raises(InputError, match="is a file; give the folder"):
        as_parts(_save(tmp_path / "one.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image under"):
        as_parts(tmp_path / "empty")
    for product in ("bottle", "pill"):
        _save(tmp_path / "set" / product / "test/good/0.png")
        _save(tmp_path / "set" / product / "ground_truth/hole/0.png")
    with pytest.raises(InputError, match="holds the products bottle, pill"):
        as_parts(tmp_path / "set")


def test_images_that_cannot_be_read_are_not_passed_over(tmp_path: Path) -> None:
    _save(tmp_path / "a.jpg")
    (tmp_path / "a.nef").write_bytes(b"raw beside its jpeg")
    assert Parts.from_folder(tmp_path).names == ("a",)
    (tmp_path / "b.HEIC").write_bytes(b"phone")
    with pytest.raises(InputError, match=r"b\.HEIC' has a format that cannot be read; convert"):
        Parts.from_folder(tmp_path)


def test_a_mixed_list(tmp_path: Path) -> None:
    path = _save(tmp_path / "x/first.one.png", level=7)
    grey = np.full((4, 5), 200, np.uint8)
    parts = as_parts(
        [path, grey, torch.zeros(3, 4, 5), Image.new("RGB", (5, 4)), str(path.parent)][:4]
    )
    assert parts.names == ("first.one", "001", "002", "003")
    assert parts.paths == (str(path), "001", "002", "003")
    assert parts.root is None
    assert [parts.image(i)[0, 0, 0] for i in range(4)] == [7, 200, 0, 0]


def test_paths_are_named_below_the_folder_they_share(tmp_path: Path) -> None:
    paths = [_save(tmp_path / name) for name in ("a/1.png", "b/c/1.jpg")]
    assert Parts.from_list(paths).names == ("a/1", "b/c/1")
    around = [tmp_path / "a" / ".." / "b" / "c" / "1.jpg", paths[0]]
    assert Parts.from_list(around).names == ("b/c/1", "a/1")
    relative = [Path(os.path.relpath(paths[0])), paths[1]]
    assert Parts.from_list(relative).names == ("a/1", "b/c/1")


def test_batches_and_names() -> None:
    batch = torch.rand(2, 3, 4, 5)
    parts = Parts.from_list(batch, names=["p/1", "p/2"])
    assert parts.names == ("p/1", "p/2")
    assert parts.image(1).shape == (4, 5, 3)
    assert Parts.from_list(np.zeros((12, 4, 5, 3), np.uint8)).names[11] == "011"


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "../b"], ["a", "/b"], ["a", ""]])
def test_bad_names_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="name"):
        Parts.from_list([np.zeros((4, 5)), np.zeros((4, 5))], names=names)


def test_lists_that_cannot_be_used(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png")
    with pytest.raises(InputError, match="empty; give at least one"):
        as_parts([])
    with pytest.raises(InputError, match="does not exist or is no file"):
        as_parts([path, tmp_path / "b.png"])
    with pytest.raises(InputError, match="two images are named 'a'"):
        as_parts([path, path])
    with pytest.raises(InputError, match=r"shape \(8, 9, 3\); give a list"):
        as_parts(np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(InputError, match="image '001' holds NaN"):
        as_parts([np.zeros((4, 5)), np.full((4, 5), np.nan)])
    for wrong in (7, Image.new("L", (3, 3))):
        with pytest.raises(InputError, match="give a folder or a list"):
            as_parts(wrong)  # type: ignore[arg-type]


def test_selection_keeps_names_and_order(tmp_path: Path) -> None:
    for index in range(4):
        _save(tmp_path / f"{index}.png", level=index)
    chosen = Parts.from_folder(tmp_path).select(np.array([3, 1]))
    assert chosen.names == ("3", "1")
    assert [chosen.image(i)[0, 0, 0] for i in range(2)] == [3, 1]
    assert as_parts(chosen) is chosen


def test_checking_returns_sizes_and_finds_damage(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", 6, 9)
    _save(tmp_path / "b.png", 20, 10)
    parts = Parts.from_folder(tmp_path)
    assert check_parts(parts).tolist() == [[6, 9], [20, 10]]
    assert check_parts(parts.select([])).shape == (0, 2)
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "d.jpg").write_bytes(_save(tmp_path / "e.jpg").read_bytes()[:-80])
    with pytest.raises(
        InputError, match=r"c\.png' cannot be read \(the file is empty\).*and 1 more"
    ):
        check_parts(Parts.from_folder(tmp_path))


def test_the_real_tiles_are_checked_quickly() -> None:
    root = os.environ.get("ANOMALYNCD_DATA")
    if root is None:
        pytest.skip("set ANOMALYNCD_DATA to the folder with the real data sets")
    parts = Parts.from_folder(Path(root) / "mtd")
    sizes = check_parts(parts)
    assert len(parts) == 583
    assert sizes.shape == (583, 2)
    assert len({name.split("/")[0] for name in parts.names}) == 6
