"""Images that EXIF turns, beside maps and masks that lie as people see them, or as stored."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import read_image
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.io.decoding import upright
from support.deep_images import save_tiff

STORED = np.full((24, 40), 30, np.uint8)
STORED[:8, :16] = 220


def save(path: Path, pixels: NDArray[np.generic], orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def photo(folder: Path, orientation: int) -> NDArray[np.bool_]:
    """Saves a photograph; where it is bright, upright."""
    return read_image(save(folder / "photos/a.jpg", STORED, orientation))[..., 0] > 128


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_that_lies_as_the_image_is_stored_is_turned_along(
    tmp_path: Path, orientation: int
) -> None:
    bright = photo(tmp_path, orientation)
    save(tmp_path / "masks/a.png", (STORED > 128).astype(np.uint8) * 255)
    np.save(tmp_path / "maps.npy", (STORED > 128)[::2, ::2].astype(np.float32))
    inputs = check_inputs(tmp_path / "photos", masks=tmp_path / "masks")
    assert inputs.masks is not None
    np.testing.assert_array_equal(inputs.masks[0], bright)
    (warning,) = inputs.warnings
    assert "turned along" in warning
    inputs = check_inputs(tmp_path / "photos", maps=[tmp_path / "maps.npy"])
    assert inputs.maps is not None
    np.testing.assert_array_equal(inputs.maps[0] > 0, bright[::2, ::2])
    inputs = check_inputs(tmp_path / "photos", ignore=tmp_path / "masks/a.png")
    assert inputs.ignored is not None
    np.testing.assert_array_equal(inputs.ignored[0], bright)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_of_the_upright_image_stays(tmp_path: Path, orientation: int) -> None:
    bright = photo(tmp_path, orientation)
    save(tmp_path / "masks/a.png", bright.astype(np.uint8) * 255)
    inputs = check_inputs(tmp_path / "photos", masks=tmp_path / "masks")
    assert inputs.masks is not None
    np.testing.assert_array_equal(inputs.masks[0], bright)
    told = [warning for warning in inputs.warnings if "taken as made for the upright" in warning]
    assert len(told) == len(inputs.warnings) == (1 if orientation < 5 else 0)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_mask_with_an_orientation_of_its_own(tmp_path: Path, orientation: int) -> None:
    bright = photo(tmp_path, orientation)
    save(tmp_path / "masks/a.png", (STORED > 128).astype(np.uint8) * 255, orientation)
    inputs = check_inputs(tmp_path / "photos", masks=tmp_path / "masks")
    assert inputs.masks is not None
    np.testing.assert_array_equal(inputs.masks[0], bright)
    assert inputs.warnings == ()


def test_square_maps_and_boxes_cannot_be_told(tmp_path: Path) -> None:
    photo(tmp_path, 6)
    inputs = check_inputs(tmp_path / "photos", maps=[np.eye(8, dtype=np.float32)])
    assert "the maps of it are taken as made for the upright image" in inputs.warnings[0]
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("name,left,top,right,bottom\na,1,2,9,30\n", encoding="utf-8")
    inputs = check_inputs(tmp_path / "photos", boxes=boxes)
    assert "the boxes of it are taken as made for the upright image" in inputs.warnings[0]


def test_images_without_exif_say_nothing(tmp_path: Path) -> None:
    photo(tmp_path, 1)
    save(tmp_path / "masks/a.png", np.rot90(STORED))
    with pytest.raises(InputError, match="not turned"):
        check_inputs(tmp_path / "photos", masks=tmp_path / "masks")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_colour_keeps_its_depth_when_it_is_turned(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (24, 40, 3)).astype(np.uint16)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        save_tiff(path, values, tags={274: [orientation]})
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        data = cv2.imencode(".png", values[..., ::-1])[1].tobytes()
        length, check = len(chunk) - 4, _crc(chunk)
        data = data[:33] + length.to_bytes(4, "big") + chunk + check + data[33:]
        path.write_bytes(data)
    expected = np.round(upright(values, orientation) * (255 / 4095))
    assert np.abs(read_image(path) - expected).max() <= 1


def _crc(chunk: bytes) -> bytes:
    import zlib

    return zlib.crc32(chunk).to_bytes(4, "big")
