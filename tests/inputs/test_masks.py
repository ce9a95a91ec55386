"""Masks drawn by people, and base sets made of them."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.check import check_images
from anomalyncd.images.findings import Findings
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.inputs.mask_files import read_mask
from anomalyncd.inputs.masks import Masks, check_masks
from anomalyncd.io.decoding import decode

TRUTH = np.zeros((6, 9), np.bool_)
TRUTH[2:5, 3:7] = True


def _save(path: Path, pixels: NDArray[np.uint8] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(TRUTH.astype(np.uint8) * 255 if pixels is None else pixels).save(path)
    return path


def test_masks_of_every_kind_mean_the_same(tmp_path: Path) -> None:
    levels = TRUTH.astype(np.uint8)
    red = np.dstack([levels * 200, levels * 0, levels * 0])
    clear = np.dstack([levels * 0 + 255] * 3 + [levels * 255])
    classes = levels.copy()
    classes[3:5, 3:7] = 3
    kinds = [
        levels,
        levels * 255,
        levels * 176,
        red,
        clear,
        classes,
        TRUTH,
        levels.astype(np.uint16) * 65535,
    ]
    for kind in kinds:
        np.testing.assert_array_equal(read_mask(_save(tmp_path / "a.png", kind)), TRUTH)
    Image.fromarray(levels * 255).save(tmp_path / "b.jpg", quality=70)
    np.testing.assert_array_equal(read_mask(tmp_path / "b.jpg"), TRUTH)
    assert not read_mask(_save(tmp_path / "c.png", levels * 0)).any()


def test_a_palette_mask(tmp_path: Path) -> None:
    image = Image.fromarray(TRUTH.astype(np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), TRUTH)


@pytest.mark.parametrize("ending", ["", "_mask"])
def test_an_image_without_a_mask_has_no_defect(tmp_path: Path, ending: str) -> None:
    for name in ("good/1", "hole/1", "hole/2_mask"):
        _save(tmp_path / f"test/{name}.png")
    for name in ("hole/1", "hole/2_mask"):
        _save(tmp_path / f"ground_truth/{name}{ending}.png")
    images = ImageSet.from_folder(tmp_path)
    masks = Masks.from_folder(tmp_path / "ground_truth", images)
    assert [bool(mask.any()) for mask in masks] == [False, True, True]
    assert masks[0].shape == TRUTH.shape
    check_masks(masks, check_images(images).sizes)


def test_mask_faults_are_named(tmp_path: Path) -> None:
    for name in ("a", "b", "b_mask"):
        _save(tmp_path / f"images/{name}.png")
    images = ImageSet.from_folder(tmp_path / "images")
    truth = tmp_path / "truth"
    truth.mkdir()
    with pytest.raises(InputError, match="no mask under"):
        Masks.from_folder(truth, images)
    _save(truth / "x/a.png")
    with pytest.raises(InputError, match="no mask belongs to an image: a mask is named like 'x/a'"):
        Masks.from_folder(truth, images)
    _save(truth / "a.png")
    with pytest.raises(InputError, match=r"mask '.*a\.png' has no image; expected x/a\.\(png"):
        Masks.from_folder(truth, images)
    (truth / "x/a.png").unlink()
    _save(truth / "a_mask.png")
    with pytest.raises(InputError, match=r"image 'a' has two masks: 'a\.png' and 'a_mask\.png'"):
        Masks.from_folder(truth, images)
    (truth / "a_mask.png").unlink()
    _save(truth / "b_mask.png")
    with pytest.raises(InputError, match=r"b_mask\.png' fits the images 'b' and 'b_mask'"):
        Masks.from_folder(truth, images)


def test_a_mask_for_all_images_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _save(tmp_path / "place.png")
    images = ImageSet.from_list([np.zeros((6, 9), np.uint8)] * 5)
    masks, reads = Masks(images, (path,) * 5), []

    def read(path: Path, what: str) -> NDArray[np.generic]:
        reads.append(path)
        return decode(path, what)

    monkeypatch.setattr("anomalyncd.inputs.mask_files.decode", read)
    findings = Findings()
    check_masks(masks, check_images(images).sizes, findings, "ignored")
    assert reads == [path]
    share = f"{TRUTH.mean():.2%}"
    assert findings.facts == [
        ("ignored", f"5 of 5 images, on average {share} of the pixels of these images")
    ]


def test_masks_of_training_images_are_ignored(tmp_path: Path) -> None:
    for name in ("train/good/7", "test/good/1", "test/hole/1"):
        _save(tmp_path / f"{name}.png")
    for name in ("good/7", "hole/1"):
        _save(tmp_path / f"ground_truth/{name}_mask.png")
    masks = Masks.from_folder(tmp_path / "ground_truth", ImageSet.from_folder(tmp_path))
    assert [path is not None for path in masks.sources] == [False, True]
    _save(tmp_path / "ground_truth/good/8_mask.png")
    with pytest.raises(InputError, match="good/8"):
        Masks.from_folder(tmp_path / "ground_truth", ImageSet.from_folder(tmp_path))


@pytest.mark.parametrize(
    "names",
    [
        ("a_0", "a_1"),
        ("a_mask_1", "a_mask_2"),
        ("a_1_mask", "a_2_mask"),
        ("a", "a_1"),
        ("a_mask", "a_mask1"),
        ("a-1", "a-2"),
        ("a (1)", "a (2)"),
        ("a/0", "a/1"),
    ],
)
def test_several_masks_of_an_image_are_joined(tmp_path: Path, names: tuple[str, str]) -> None:
    left, right = (np.zeros((6, 9), np.uint8) for _ in range(2))
    left[:, :2], right[:, 7:] = 255, 255
    for name, pixels in zip(names, (left, right), strict=True):
        _save(tmp_path / f"masks/hole/{name}.png", pixels)
    for name in ("hole/a", "hole/b", "hole/aa"):
        _save(tmp_path / f"photos/{name}.png")
    images, findings = ImageSet.from_folder(tmp_path / "photos"), Findings()
    masks = Masks.from_folder(tmp_path / "masks", images)
    check_masks(masks, check_images(images).sizes, findings)
    np.testing.assert_array_equal(masks[0], (left > 0) | (right > 0))
    assert not masks[1].any()
    assert not masks[2].any()
    assert "1 of them have several masks, which are joined" in dict(findings.facts)["masks"]
    _save(tmp_path / f"masks/hole/{names[1]}.png", np.full((7, 9), 255, np.uint8))
    with pytest.raises(InputError, match=r"of one image differ in size"):
        check_masks(masks, check_images(images).sizes)


def test_a_numbered_mask_belongs_to_the_image_of_its_whole_name(tmp_path: Path) -> None:
    for name in ("photos/a", "photos/a_1", "photos/a_10", "photos/0", "photos/00"):
        _save(tmp_path / f"{name}.png")
    images = ImageSet.from_folder(tmp_path / "photos")
    for name in ("a_1", "a_10_mask", "a_2", "a_1_0"):
        _save(tmp_path / f"masks/{name}.png")
    masks = Masks.from_folder(tmp_path / "masks", images)
    found = dict(zip(images.names, masks.sources, strict=True))
    assert found["a"] == tmp_path / "masks/a_2.png"
    assert found["a_1"] == (tmp_path / "masks/a_1.png", tmp_path / "masks/a_1_0.png")
    assert found["a_10"] == tmp_path / "masks/a_10_mask.png"
    _save(tmp_path / "masks/000.png")
    with pytest.raises(InputError, match=r"000\.png' has no image"):
        Masks.from_folder(tmp_path / "masks", images)


def test_masks_named_after_tasks_need_the_annotations(tmp_path: Path) -> None:
    _save(tmp_path / "photos/a.png")
    _save(tmp_path / "masks/task-12-annotation-3-by-1-tag-Dent-0.png")
    with pytest.raises(InputError, match=r"after a task of Label Studio.*JSON"):
        Masks.from_folder(tmp_path / "masks", ImageSet.from_folder(tmp_path / "photos"))


@pytest.mark.parametrize("level", ["test/", ""])
def test_a_base_set(tmp_path: Path, level: str) -> None:
    for name in ("groove/background/1", "groove/2", "fracture/view.v2/ä 1", "good/1", "good/2"):
        _save(tmp_path / f"{level}{name}.png")
    for name in ("groove/background/1", "groove/2_mask", "fracture/view.v2/ä 1"):
        _save(tmp_path / f"ground_truth/{name}.png")
    base = BaseSet.from_folder(tmp_path)
    assert base.class_names == ("fracture", "groove")
    assert base.images.names == ("fracture/view.v2/ä 1", "groove/2", "groove/background/1")
    assert base.labels.tolist() == [0, 1, 1]
    assert len(base) == len(base.masks) == 3
    np.testing.assert_array_equal(base.masks[1], TRUTH)


def test_base_set_faults_are_named(tmp_path: Path) -> None:
    _save(tmp_path / "hole/1.png")
    with pytest.raises(InputError, match="has no masks; expected them under"):
        BaseSet.from_folder(tmp_path)
    _save(tmp_path / "ground_truth/hole/1_mask.png")
    _save(tmp_path / "hole/2.png")
    with pytest.raises(InputError, match=r"base image 'hole/2' has no mask in '.*ground_truth'"):
        BaseSet.from_folder(tmp_path)
    _save(tmp_path / "ground_truth/hole/2.png", TRUTH.astype(np.uint8) * 0)
    assert len(BaseSet.from_folder(tmp_path)) == 2
    for name in ("scratch", "stain"):
        _save(tmp_path / f"{name}/1.png")
    with pytest.raises(InputError, match="no mask of the base classes scratch, stain"):
        BaseSet.from_folder(tmp_path)
    _save(tmp_path / "loose.png")
    with pytest.raises(InputError, match=r"image 'loose' under .* is in no class"):
        BaseSet.from_folder(tmp_path)
    (tmp_path / "ground_truth/hole/2.png").write_bytes(b"")
    (tmp_path / "loose.png").unlink()
    with pytest.raises(InputError, match=r"2\.png' cannot be read \(the file is empty\)"):
        BaseSet.from_folder(tmp_path)


def test_real_base_sets() -> None:
    root = os.environ.get("ANOMALYNCD_DATA")
    if root is None:
        pytest.skip("set ANOMALYNCD_DATA to the folder with the real data sets")
    steel = BaseSet.from_folder(Path(root) / "neu_seg")
    assert steel.class_names == ("inclusion", "patches", "scratches")
    assert np.bincount(steel.labels).tolist() == [207, 201, 200]
    tiles = BaseSet.from_folder(Path(root) / "mtd")
    assert "MT_Free" not in tiles.class_names
    assert len(tiles) == 392


def test_masks_named_after_kinds_are_joined(tmp_path: Path) -> None:
    for name in ("photos/a", "photos/b", "masks/a_scratch", "masks/a_dent", "masks/b_scratch"):
        _save(tmp_path / f"{name}.png")
    images = ImageSet.from_folder(tmp_path / "photos")
    with pytest.raises(InputError, match=r"a_dent\.png' has no image"):
        Masks.from_folder(tmp_path / "masks", images)
    _save(tmp_path / "masks/b_dent.png")
    masks = Masks.from_folder(tmp_path / "masks", images)
    assert masks.sources == tuple(
        tuple(tmp_path / f"masks/{name}_{kind}.png" for kind in ("dent", "scratch"))
        for name in ("a", "b")
    )
