"""Image sets from folders and lists."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.check import check_images
from anomalyncd.images.image_set import ImageSet, as_image_set


def _save(path: Path, height: int = 6, width: int = 9, level: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height), level).save(path)
    return path


def test_a_plain_folder(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "a crop.v2.jpg", "c/d/é_crop.tif"):
        _save(tmp_path / name)
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    images = ImageSet.from_folder(str(tmp_path))
    assert images.names == ("a crop.v2", "b/10", "b/2", "c/d/é_crop")
    assert images.root == tmp_path
    assert images.paths[1] == str(tmp_path / "b" / "10.png")
    assert len(images) == 4
    assert images.image(3).shape == (6, 9, 3)


def test_an_mvtec_folder_holds_the_images_in_test(tmp_path: Path) -> None:
    for name in ("train/good/000", "test/good/000", "test/hole/000", "ground_truth/hole/000_mask"):
        _save(tmp_path / f"{name}.png")
    images = ImageSet.from_folder(tmp_path)
    assert images.names == ("good/000", "hole/000")
    assert images.root == tmp_path / "test"
    assert ImageSet.from_folder(tmp_path / "test").names == images.names


def test_ground_truth_beside_classes_is_ignored(tmp_path: Path) -> None:
    for name in ("hole/000", "ground_truth/hole/000"):
        _save(tmp_path / f"{name}.png")
    assert ImageSet.from_folder(tmp_path).names == ("hole/000",)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the path"):
        ImageSet.from_folder(tmp_path / "none")
    with pytest.raises(InputError, match="is a file; give the folder"):
        as_image_set(_save(tmp_path / "one.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image under"):
        as_image_set(tmp_path / "empty")
    for product in ("bottle", "pill"):
        _save(tmp_path / "set" / product / "test/good/0.png")
        _save(tmp_path / "set" / product / "ground_truth/hole/0.png")
    with pytest.raises(InputError, match="holds the products bottle, pill"):
        as_image_set(tmp_path / "set")


def test_images_that_cannot_be_read_are_not_passed_over(tmp_path: Path) -> None:
    _save(tmp_path / "a.jpg")
    (tmp_path / "a.nef").write_bytes(b"raw beside its jpeg")
    assert ImageSet.from_folder(tmp_path).names == ("a",)
    (tmp_path / "b.HEIC").write_bytes(b"phone")
    with pytest.raises(InputError, match=r"b\.HEIC' has a format that cannot be read; convert"):
        ImageSet.from_folder(tmp_path)


def test_a_mixed_list(tmp_path: Path) -> None:
    path = _save(tmp_path / "x/first.one.png", level=7)
    grey = np.full((4, 5), 200, np.uint8)
    images = as_image_set(
        [path, grey, torch.zeros(3, 4, 5), Image.new("RGB", (5, 4)), str(path.parent)][:4]
    )
    assert images.names == ("first.one", "001", "002", "003")
    assert images.paths == (str(path), "001", "002", "003")
    assert images.root is None
    assert [images.image(i)[0, 0, 0] for i in range(4)] == [7, 200, 0, 0]


def test_paths_are_named_below_the_folder_they_share(tmp_path: Path) -> None:
    paths = [_save(tmp_path / name) for name in ("a/1.png", "b/c/1.jpg")]
    assert ImageSet.from_list(paths).names == ("a/1", "b/c/1")
    around = [tmp_path / "a" / ".." / "b" / "c" / "1.jpg", paths[0]]
    assert ImageSet.from_list(around).names == ("b/c/1", "a/1")
    relative = [Path(os.path.relpath(paths[0])), paths[1]]
    assert ImageSet.from_list(relative).names == ("a/1", "b/c/1")


def test_batches_and_names() -> None:
    batch = torch.rand(2, 3, 4, 5)
    images = ImageSet.from_list(batch, names=["p/1", "p/2"])
    assert images.names == ("p/1", "p/2")
    assert images.image(1).shape == (4, 5, 3)
    assert ImageSet.from_list(np.zeros((12, 4, 5, 3), np.uint8)).names[11] == "011"


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "../b"], ["a", "/b"], ["a", ""]])
def test_bad_names_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="name"):
        ImageSet.from_list([np.zeros((4, 5)), np.zeros((4, 5))], names=names)


def test_lists_that_cannot_be_used(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png")
    with pytest.raises(InputError, match="empty; give at least one"):
        as_image_set([])
    with pytest.raises(InputError, match="does not exist or is no file"):
        as_image_set([path, tmp_path / "b.png"])
    with pytest.raises(InputError, match="two images are named 'a'"):
        as_image_set([path, path])
    with pytest.raises(InputError, match=r"shape \(8, 9, 3\); give a list"):
        as_image_set(np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(InputError, match="image '001' holds NaN"):
        as_image_set([np.zeros((4, 5)), np.full((4, 5), np.nan)])
    for wrong in (7, Image.new("L", (3, 3))):
        with pytest.raises(InputError, match="give a folder, a manifest or a list"):
            as_image_set(wrong)  # type: ignore[arg-type]


def test_selection_keeps_names_and_order(tmp_path: Path) -> None:
    for index in range(4):
        _save(tmp_path / f"{index}.png", level=index)
    chosen = ImageSet.from_folder(tmp_path).select(np.array([3, 1]))
    assert chosen.names == ("3", "1")
    assert [chosen.image(i)[0, 0, 0] for i in range(2)] == [3, 1]
    assert as_image_set(chosen) is chosen


def test_checking_returns_sizes_and_finds_damage(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", 6, 9)
    _save(tmp_path / "b.png", 20, 10)
    images = ImageSet.from_folder(tmp_path)
    assert check_images(images).sizes.tolist() == [[6, 9], [20, 10]]
    assert check_images(images.select([])).sizes.shape == (0, 2)
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "d.jpg").write_bytes(_save(tmp_path / "e.jpg").read_bytes()[:-80])
    with pytest.raises(
        InputError, match=r"c\.png' cannot be read \(the file is empty\).*and 1 more"
    ):
        check_images(ImageSet.from_folder(tmp_path))


def test_the_real_tiles_are_checked_quickly() -> None:
    root = os.environ.get("ANOMALYNCD_DATA")
    if root is None:
        pytest.skip("set ANOMALYNCD_DATA to the folder with the real data sets")
    images = ImageSet.from_folder(Path(root) / "mtd")
    sizes = check_images(images).sizes
    assert len(images) == 583
    assert sizes.shape == (583, 2)
    assert len({name.split("/")[0] for name in images.names}) == 6
