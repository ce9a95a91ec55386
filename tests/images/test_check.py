"""Files with several pages, without their end, or damaged, and images beside a folder test/."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings
from anomalyncd.images.pixels import read_image
from anomalyncd.inputs.inputs import Inputs, check_data, check_inputs
from anomalyncd.inputs.sources import InputSources
from support.deep_images import save_tiff

LARGE, SMALL = (48, 64), (12, 16)


def plate(level: int, shape: tuple[int, int] = LARGE) -> NDArray[np.uint8]:
    pixels = np.random.default_rng(level).normal(level, 8, (*shape, 3))
    return cv2.GaussianBlur(pixels.clip(0, 255).astype(np.uint8), (0, 0), 2)


def save(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def checked(images: object, **further: object) -> tuple[Inputs | None, Findings]:
    return check_data(InputSources(images, **further))  # type: ignore[arg-type]


@pytest.mark.parametrize("thumbnail_first", [False, True])
def test_the_largest_page_is_read(tmp_path: Path, thumbnail_first: bool) -> None:
    pages = [plate(90), plate(200, SMALL)]
    path = save_tiff(tmp_path / "a.tif", *pages[:: -1 if thumbnail_first else 1])
    np.testing.assert_array_equal(read_image(path), pages[0])
    _, findings = checked([path])
    assert dict(findings.facts)["images: several pages"] == "1; the largest one is read"
    assert findings.warnings == []


def test_the_largest_page_of_deep_colour(tmp_path: Path) -> None:
    large = plate(90).astype(np.uint16) * 257
    path = save_tiff(tmp_path / "a.tif", plate(200, SMALL).astype(np.uint16) * 257, large)
    np.testing.assert_array_equal(read_image(path), plate(90))


def test_a_page_that_is_a_mask_is_no_image(tmp_path: Path) -> None:
    path = save_tiff(tmp_path / "a.tif", plate(90, SMALL), plate(9), tags={254: [4]})
    content = path.read_bytes()
    # Only the second page, which lies behind the first, keeps its kind.
    kind = b"\xfe\x00\x04\x00\x01\x00\x00\x00"
    path.write_bytes(content.replace(kind + b"\x04", kind + b"\x00", 1))
    np.testing.assert_array_equal(read_image(path), plate(90, SMALL))


def frames(suffix: str) -> bytes:
    pictures = [Image.fromarray(plate(level)) for level in (60, 120, 180)]
    memory, formats = io.BytesIO(), {".jpg": "MPO", ".tif": "TIFF"}
    kind = formats.get(suffix, suffix[1:].upper())
    pictures[0].save(memory, kind, save_all=True, append_images=pictures[1:])
    return memory.getvalue()


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp", ".png", ".jpg"])
def test_stacks_and_animations_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stack{suffix}"
    path.write_bytes(frames(suffix))
    _, findings = checked([path])
    (warning,) = findings.warnings
    assert f"'{path}' has 3 pages or frames of the same size" in warning
    assert "save each page as a file of its own" in warning
    assert abs(int(np.median(read_image(path))) - 60) < 6


def test_a_damaged_page_behind_the_image_does_no_harm(tmp_path: Path) -> None:
    path = save_tiff(tmp_path / "a.tif", plate(90), plate(9, SMALL))
    path.write_bytes(path.read_bytes()[:-60])
    np.testing.assert_array_equal(read_image(path), plate(90))


def jpeg(tmp_path: Path, missing: int, shape: tuple[int, int] = (480, 640), **options: object):
    path = save(tmp_path / f"cut{missing}.jpg", plate(120, shape), **options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - missing])
    return path


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_two_bytes_is_read(tmp_path: Path, progressive: bool) -> None:
    whole = read_image(jpeg(tmp_path, 0, progressive=progressive))
    path = jpeg(tmp_path, 2, progressive=progressive)
    np.testing.assert_array_equal(read_image(path), whole)
    _, findings = checked([path])
    (warning,) = findings.warnings
    assert f"Image '{path}' is not complete" in warning
    assert findings.problems == []


def test_a_jpeg_that_lacks_a_little_is_read(tmp_path: Path) -> None:
    whole, cut = read_image(jpeg(tmp_path, 0)), read_image(jpeg(tmp_path, 60))
    lost = (whole != cut).any(axis=2)
    assert 0 < lost.mean() < 0.05
    assert not lost[:400].any()
    _, findings = checked([tmp_path / "cut60.jpg"])
    assert "of the pixels, where no defect can be found" in findings.warnings[0]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_much_is_damaged(tmp_path: Path, progressive: bool) -> None:
    size = jpeg(tmp_path, 0, progressive=progressive).stat().st_size
    for missing in (size // 5, size // 2, size - 700):
        with pytest.raises(InputError, match="truncated"):
            read_image(jpeg(tmp_path, missing, progressive=progressive))


def test_a_mask_or_map_has_to_be_complete(tmp_path: Path) -> None:
    save(tmp_path / "photos/cut2.png", plate(120, (480, 640)))
    jpeg(tmp_path / "masks", 2)
    with pytest.raises(InputError, match="truncated"):
        check_inputs(tmp_path / "photos", masks=tmp_path / "masks")


@pytest.fixture
def set_with_damage(tmp_path: Path) -> Path:
    for index in range(5):
        save(tmp_path / f"photos/{index}.png", plate(100 + index))
        save(tmp_path / f"masks/{index}.png", plate(100).astype(np.uint8) * 0 + 255)
        (tmp_path / "maps").mkdir(exist_ok=True)
        np.save(tmp_path / f"maps/{index}.npy", np.full((12, 16), index, np.float32))
    for index in (1, 3):
        path = tmp_path / f"photos/{index}.png"
        path.write_bytes(path.read_bytes()[:90])
    return tmp_path


def test_damaged_images_are_left_out_with_their_maps_and_masks(set_with_damage: Path) -> None:
    photos = set_with_damage / "photos"
    with pytest.raises(InputError, match=r"1.png.*cannot be read.*and 1 more"):
        check_inputs(photos)
    inputs = check_inputs(photos, maps=set_with_damage / "maps", skip_damaged=True)
    assert inputs.images.names == ("0", "2", "4")
    assert inputs.skipped == ("1", "3")
    assert inputs.maps is not None
    assert [scores.max() for scores in inputs.maps] == [0, 2, 4]
    assert inputs.sizes.tolist() == [list(LARGE)] * 3
    warning = inputs.warnings[0]
    assert "2 of 5 images cannot be read and are left out" in warning
    assert "'1', '3'" in warning
    for path in (set_with_damage / "masks").iterdir():
        marked = np.zeros(LARGE, np.uint8)
        marked[:2] = 255
        Image.fromarray(marked).save(path)
    inputs = check_inputs(photos, masks=set_with_damage / "masks", skip_damaged=True)
    assert inputs.masks is not None
    assert len(inputs.masks) == 3


def test_places_and_manifests_follow(set_with_damage: Path) -> None:
    table = set_with_damage / "images.csv"
    rows = [f"photos/{i}.png,maps/{i}.npy,{i}" for i in range(5)]
    table.write_text("\n".join(["image,anomaly_map,lot", *rows]), encoding="utf-8")
    inputs = check_inputs(table, ignore=set_with_damage / "masks/0.png", skip_damaged=True)
    assert inputs.images.columns is not None
    assert list(inputs.images.columns["lot"]) == ["0", "2", "4"]
    assert inputs.maps is not None
    assert inputs.maps.ignored is not None
    assert len(inputs.maps.ignored) == 3
    assert inputs.maps[1].max() == 2


def test_damaged_normal_images_are_left_out(set_with_damage: Path) -> None:
    inputs = check_inputs(
        [plate(90)], normals=set_with_damage / "photos", normal_maps=None, skip_damaged=True
    )
    assert inputs.normals is not None
    assert inputs.normals.names == ("normals/0", "normals/2", "normals/4")
    assert inputs.skipped == ("normals/1", "normals/3")


def test_images_that_are_all_damaged_are_an_error(tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / f"{index}.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="and 1 more"):
        check_inputs(tmp_path, skip_damaged=True)
    _, findings = checked(tmp_path, skip_damaged=True)
    assert len(findings.problems) == 1


def test_images_beside_a_folder_test_are_told(tmp_path: Path) -> None:
    save(tmp_path / "test/a.png", plate(90))
    for name in ("train/1", "ground_truth/a", "ok/2", "places/a"):
        save(tmp_path / f"{name}.png", plate(90))
    given = {"normals": tmp_path / "ok", "ignore": tmp_path / "places"}
    assert checked(tmp_path, **given)[1].warnings == []
    save(tmp_path / "monday/b.png", plate(90))
    save(tmp_path / "tuesday/c.png", plate(90))
    (warning,) = checked(tmp_path, **given)[1].warnings
    assert "only the 1 image in it is used" in warning
    assert "monday" in warning
    assert "(and 1 more)" in warning
    assert checked(tmp_path / "test", **given)[1].warnings == []


def test_normal_images_beside_a_folder_test_are_told(tmp_path: Path) -> None:
    save(tmp_path / "test/good/a.png", plate(90))
    save(tmp_path / "train/good/b.png", plate(90))
    _, findings = checked([plate(90)], normals=tmp_path)
    assert any("sub-folder test/" in warning for warning in findings.warnings)
