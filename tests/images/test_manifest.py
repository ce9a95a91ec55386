"""Manifests: which rows, names and columns become of a table of images."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet, as_image_set
from anomalyncd.images.manifest import Manifest
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.inputs.masks import Masks


def _save(path: Path, level: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 9), level, np.uint8)).save(path)
    return path


def _manifest(folder: Path, *lines: str) -> Path:
    path = folder / "images.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_names_and_columns(tmp_path: Path) -> None:
    _save(tmp_path / "photos/crack/1.png")
    absolute = _save(tmp_path / "photos/ä.v2.JPG")
    path = _manifest(tmp_path, "lot,image,station", f"001,photos\\crack\\1.png,NA\n,{absolute},b")
    images = as_image_set(str(path))
    assert images.names == ("photos/crack/1", unicodedata.normalize("NFC", "photos/ä.v2"))
    assert images.root == tmp_path
    assert images.image(1).shape == (6, 9, 3)
    assert images.columns is not None
    assert images.columns.to_dict("list") == {"lot": ["001", ""], "station": ["NA", "b"]}
    chosen = images.select([1])
    assert chosen.columns is not None
    assert chosen.columns.to_dict("list") == {"lot": [""], "station": ["b"]}


def test_images_elsewhere_are_named_by_the_folder_they_share(tmp_path: Path) -> None:
    for name in ("a/1", "b/1"):
        _save(tmp_path / f"data/{name}.png")
    (tmp_path / "lists").mkdir()
    path = _manifest(tmp_path / "lists", "image", "../data/a/1.png", "../data/b/1.png")
    images = ImageSet.from_manifest(path)
    assert images.names == ("a/1", "b/1")
    assert images.root == tmp_path / "data"


def test_splits(tmp_path: Path) -> None:
    for name in "abc":
        _save(tmp_path / f"{name}.png")
    path = _manifest(tmp_path, "image,split", "a.png,train", "b.png, Test", "c.png,")
    assert ImageSet.from_manifest(path).names == ("b",)
    assert as_image_set(path, "train").names == ("a",)
    path = _manifest(tmp_path, "image,split", "a.png,val", "b.png,")
    assert ImageSet.from_manifest(path).names == ("a", "b")
    with pytest.raises(InputError, match="no row with 'train' in the column 'split'"):
        as_image_set(path, "train")
    path = _manifest(tmp_path, "image", "a.png")
    assert as_image_set(path, "train").names == ("a",)


def test_maps_and_masks_of_a_manifest(tmp_path: Path) -> None:
    for name in ("a", "b", "masks/a"):
        _save(tmp_path / f"{name}.png")
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.eye(6, dtype=np.float32))
    path = _manifest(tmp_path, "image,anomaly_map,mask", "b.png,b.npy,", "a.png,a.npy,masks\\a.png")
    images = ImageSet.from_manifest(path)
    assert images.columns is not None
    assert list(images.columns) == ["anomaly_map"]
    np.testing.assert_array_equal(AnomalyMaps.from_manifest(images)[1], np.eye(6))
    masks = Masks.from_manifest(path, images.select([1, 0]))
    assert [bool(mask.any()) for mask in masks] == [True, False]
    with pytest.raises(InputError, match=r"image 'c' has no row in manifest .*named like 'b'"):
        Masks.from_manifest(path, ImageSet.from_list([np.zeros((6, 9))], ["c"]))
    path = _manifest(tmp_path, "image,anomaly_map", "b.png,", "a.png,a.npy")
    with pytest.raises(InputError, match="image 'b' has no map in the column 'anomaly_map'"):
        AnomalyMaps.from_manifest(ImageSet.from_manifest(path))
    with pytest.raises(InputError, match="has no column 'mask'"):
        Masks.from_manifest(path, images)


def test_a_base_set_from_a_manifest(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4", "m"):
        _save(tmp_path / f"{name}.png")
    rows = ["1.png,good,", "2.png,hole,m.png", "3.png,crack,m.png"]
    base = BaseSet.from_manifest(_manifest(tmp_path, "image,label,mask", *rows))
    assert base.class_names == ("crack", "hole")
    assert base.images.names == ("2", "3")
    assert base.labels.tolist() == [1, 0]
    path = _manifest(tmp_path, "image,label,mask", *rows, "4.png,hole,")
    with pytest.raises(InputError, match=r"base image '4' has no mask in '.*images\.csv'"):
        BaseSet.from_manifest(path)
    path = _manifest(tmp_path, "image,label,mask", *rows, "4.png,,m.png")
    with pytest.raises(InputError, match=r"base image '4' .* has no label"):
        BaseSet.from_manifest(path)
    with pytest.raises(InputError, match="has no column 'label'"):
        BaseSet.from_manifest(_manifest(tmp_path, "image,mask", "1.png,m.png"))
    with pytest.raises(InputError, match="has no column 'mask'"):
        BaseSet.from_manifest(_manifest(tmp_path, "image,label", "1.png,good"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Image,lot", "a.png,1"], "no column 'image' but Image, lot; rename 'Image'"),
        (
            ["file,lot", "a.png,1"],
            "no column 'image' but file, lot; rename the column of the images",
        ),
        (["image,score", "a.png,1"], "a column 'score', which the results have as well"),
        (["image,p_0,area_12", "a.png,1,2"], r"a column 'p_0' \(and 1 more\), which the results"),
        (["image", "b.png", "c.png"], r"image '.*b\.png' \(and 1 more\) in .* does not exist"),
        (["image,mask", "a.png,b.png"], r"mask '.*b\.png' in manifest '.*' does not exist"),
        (["image,lot", "a.png,1", "./a.png,2"], r"names the image '.*a\.png' twice"),
        (["image,lot", "a.png,1", ",2"], "names no image in row 2"),
    ],
)
def test_faults_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    _save(tmp_path / "a.png")
    with pytest.raises(InputError, match=message):
        Manifest.read(_manifest(tmp_path, *lines))


def test_images_of_one_name_are_refused(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        _save(tmp_path / f"a.{suffix}")
    with pytest.raises(InputError, match="two images are named 'a'"):
        ImageSet.from_manifest(_manifest(tmp_path, "image", "a.png", "a.jpg"))


@pytest.mark.skipif(os.name == "nt", reason="these are paths of Windows")
@pytest.mark.parametrize("cell", ["D:\\x.png", "c:/a/x.png", "\\\\server\\x.png"])
@pytest.mark.parametrize("column", ["image", "mask", "anomaly_map"])
def test_paths_of_another_system_are_refused(tmp_path: Path, cell: str, column: str) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    table = f"image,{column}\na.png,{cell}\n" if column != "image" else f"image\n{cell}\n"
    (tmp_path / "m.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InputError, match="is no path of this system; give paths relative") as told:
        Manifest.read(tmp_path / "m.csv")
    assert f"{column} '{cell}'" in str(told.value)


@pytest.mark.parametrize("cell", ["https://host/x.png", "s3://bucket/x.png", "file:///x.png"])
def test_places_on_the_internet_are_refused(tmp_path: Path, cell: str) -> None:
    (tmp_path / "m.csv").write_text(f"image\n{cell}\n", encoding="utf-8")
    with pytest.raises(InputError, match="is no path of this system"):
        Manifest.read(tmp_path / "m.csv")


def test_backslashes_and_guarded_names_of_a_manifest_are_understood(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    for name in ("links/1.png", "-2.png", "=3.png"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name)
    text = "sep=;\nimage;offset\nlinks\\1.png;-1,5\n'-2.png;'=2\n=3.png;1\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8-sig")
    manifest = Manifest.read(tmp_path / "m.csv")
    assert manifest.names == ("links/1", "-2", "=3")
    assert list(manifest.table["offset"]) == ["-1,5", "=2", "1"]
