"""Which pixels of a mask count: every value of a lossless file, and only what is no noise."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.check import check_images
from anomalyncd.images.findings import Findings
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.inputs import check_data, check_inputs
from anomalyncd.inputs.mask_files import read_kinds, read_mask
from anomalyncd.inputs.masks import Masks, check_masks
from anomalyncd.inputs.sources import InputSources

FAINT, STRONG = np.s_[4:12, 4:12], np.s_[4:12, 24:36]
"""Two marked places of an image of 20 x 40 pixels."""
BOTH = np.zeros((20, 40), np.bool_)
BOTH[FAINT] = BOTH[STRONG] = True


def _values(faint: float, strong: float, dtype: type = np.uint8) -> NDArray[np.generic]:
    pixels = np.zeros(BOTH.shape, dtype)
    pixels[FAINT], pixels[STRONG] = faint, strong
    return pixels


def _palette(path: Path, indices: NDArray[np.generic], colours: list[int]) -> None:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(colours)
    image.save(path)


def _colours(path: Path) -> None:
    pixels = np.dstack([_values(0, 128), _values(64, 0), _values(0, 0)])
    Image.fromarray(pixels).save(path)


def _clear(path: Path) -> None:
    """Black strokes on a transparent ground."""
    Image.fromarray(np.dstack([_values(0, 0)] * 3 + [_values(90, 255)])).save(path)


def _coloured_behind_transparency(path: Path) -> None:
    white = np.full(BOTH.shape, 255, np.uint8)
    Image.fromarray(np.dstack([_values(60, 240), white, white, BOTH * white])).save(path)


KINDS: dict[str, Callable[[Path], object]] = {
    "grey values": lambda path: Image.fromarray(_values(60, 240)).save(path),
    "class indices": lambda path: Image.fromarray(_values(1, 4)).save(path),
    "instances": lambda path: Image.fromarray(_values(1, 40)).save(path),
    "16 bits": lambda path: Image.fromarray(_values(1, 65535, np.uint16)).save(path),
    "colours": _colours,
    "black on transparency": _clear,
    "white behind transparency": _coloured_behind_transparency,
    "a palette": lambda path: _palette(path, _values(1, 2), [0, 0, 0, 64, 0, 0, 128, 0, 0]),
    "a palette with a black class": lambda path: _palette(path, _values(1, 2), [9] * 3 + [0] * 6),
    "a palette on white": lambda path: _palette(path, _values(1, 2), [255] * 3 + [200, 0, 0] * 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_counts(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), BOTH)


def test_values_are_read_where_they_number_kinds(tmp_path: Path) -> None:
    path, expected = tmp_path / "a.png", _values(1, 4)
    for dtype in (np.uint8, np.uint16):
        Image.fromarray(_values(1, 4, dtype)).save(path)
        np.testing.assert_array_equal(read_kinds(path), expected)
    with_void = expected.copy()
    with_void[14:] = 255
    Image.fromarray(with_void).save(path)
    np.testing.assert_array_equal(read_kinds(path), expected)
    _palette(path, with_void, [0, 0, 0, 200, 0, 0] + [0, 90, 0] * 254)
    np.testing.assert_array_equal(read_kinds(path), expected)
    many = _values(2, 40)
    _palette(path, many, [9, 0, 0] * 41)
    np.testing.assert_array_equal(read_kinds(path), many)
    Image.fromarray(_values(0, 0)).save(path)
    np.testing.assert_array_equal(read_kinds(path), _values(0, 0))


def test_other_values_are_no_kinds(tmp_path: Path) -> None:
    for pixels in (_values(255, 255), _values(60, 240), _values(1, 40), BOTH):
        Image.fromarray(pixels).save(tmp_path / "a.png")
        assert read_kinds(tmp_path / "a.png") is None
    Image.fromarray(_values(1, 2, np.float32)).save(tmp_path / "a.tif")
    assert read_kinds(tmp_path / "a.tif") is None
    Image.fromarray(_values(4, 12)).save(tmp_path / "a.jpg", quality=95)
    assert read_kinds(tmp_path / "a.jpg") is None


def test_floats_and_touching_values_count(tmp_path: Path) -> None:
    Image.fromarray(_values(0.1, 1, np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), BOTH)
    stairs = np.repeat(np.arange(40, dtype=np.uint8)[None] // 8 * 60, 20, axis=0)
    Image.fromarray(stairs).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), stairs > 0)
    lines = np.zeros((20, 40), np.uint8)
    lines[5], lines[6], lines[7] = 60, 140, 240
    Image.fromarray(lines).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), lines > 0)


def test_a_smoothed_edge_does_not_count_and_a_faint_place_does(tmp_path: Path) -> None:
    large = np.repeat(np.repeat(_values(70, 255), 8, axis=0), 8, axis=1)
    smooth = cv2.GaussianBlur(large, (0, 0), 1.5)
    smooth[0, 0] = 1  # As resizing leaves it behind.
    Image.fromarray(smooth).save(tmp_path / "a.png")
    found, truth = read_mask(tmp_path / "a.png"), (large > 0).astype(np.uint8)
    assert not (found & (truth == 0)).any()
    assert found[cv2.erode(truth, np.ones((5, 5), np.uint8)) > 0].all()


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_jpeg_file_counts_above_its_noise_and_is_warned_of(tmp_path: Path, quality: int) -> None:
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(_values(90, 240)).save(tmp_path / folder / "a.jpg", quality=quality)
    found = read_mask(tmp_path / "masks/a.jpg")
    assert np.count_nonzero(found != BOTH) <= 6
    assert found[FAINT].all()
    inputs = check_inputs(tmp_path / "photos", masks=tmp_path / "masks")
    assert len(inputs.warnings) == 1
    assert inputs.warnings[0].startswith("1 mask is a JPEG file, for instance")
    assert "a.jpg': values spread" in inputs.warnings[0]


@pytest.mark.parametrize("as_palette", [False, True])
def test_255_beside_class_indices_is_void(tmp_path: Path, as_palette: bool) -> None:
    pixels = _values(1, 255)
    path = tmp_path / "a.png"
    if as_palette:
        _palette(path, pixels, [0, 0, 0, 128, 0, 0, *[7, 7, 9] * 253, 224, 224, 192])
    else:
        Image.fromarray(pixels).save(path)
    wanted = BOTH.copy()
    wanted[STRONG] = False
    np.testing.assert_array_equal(read_mask(path), wanted)
    images, findings = ImageSet.from_list([np.zeros(BOTH.shape, np.uint8)]), Findings()
    check_masks(Masks(images, (path,)), check_images(images).sizes, findings)
    (warning,) = findings.warnings
    assert "255 beside the indices of classes counts as void" in warning


def test_single_pixels_of_1_do_not_make_255_void(tmp_path: Path) -> None:
    pixels = _values(0, 255)
    pixels[12, 24:36:2] = 1
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png")[STRONG].all()


def test_an_ordinary_black_and_white_palette_stays_a_mask(tmp_path: Path) -> None:
    for suffix in ("png", "gif"):
        Image.fromarray(BOTH.astype(np.uint8) * 255).convert("P").save(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}"), BOTH)


def test_inverted_masks_are_refused_and_places_may_cover_most(tmp_path: Path) -> None:
    for name in ("photos/a", "photos/b", "photos/c", "masks/a", "masks/b", "masks/c"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        wide = BOTH if name == "masks/c" else ~BOTH
        Image.fromarray(wide.astype(np.uint8) * 255).save(path)
    with pytest.raises(InputError, match=r"the masks mark most of .* inverted once more"):
        check_inputs(tmp_path / "photos", masks=tmp_path / "masks")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("left,top,right,bottom\n0,0,40,19\n", encoding="utf-8")
    with pytest.raises(InputError, match="the boxes mark most of the images"):
        check_inputs(tmp_path / "photos", boxes=boxes)
    for places in ("ignore", "foreground"):
        check_inputs(tmp_path / "photos", **{places: tmp_path / "masks"})
    (tmp_path / "masks/b.png").unlink()
    _, findings = check_data(InputSources(tmp_path / "photos", masks=tmp_path / "masks"))
    assert findings.problems == []


def test_real_masks_keep_every_kind_and_their_smooth_edges() -> None:
    root = os.environ.get("ANOMALYNCD_DATA")
    if root is None:
        pytest.skip("set ANOMALYNCD_DATA to the folder with the real data sets")
    for path in sorted((Path(root) / "aluminium/masks").glob("*.png"))[::10]:
        np.testing.assert_array_equal(read_mask(path), np.array(Image.open(path)) > 0)
    changed = []
    for path in sorted((Path(root) / "mtd/ground_truth").glob("*/*.png"))[::7]:
        pixels = np.array(Image.open(path))
        differing = int(np.count_nonzero(read_mask(path) != (pixels > pixels.max() / 2)))
        changed += [differing] if differing else []
    assert len(changed) <= 3
    assert sum(changed) <= 20
