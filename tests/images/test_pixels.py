"""Pictures of every kind come out as the same HxWx3 array of 8 bits."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.levels import Levels
from anomalyncd.images.pixels import read_image, to_rgb

HEIGHT, WIDTH = 7, 11


@pytest.fixture
def colour() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def grey(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return colour[..., 0].copy()


def test_array_and_tensor_layouts_agree(colour: NDArray[np.uint8]) -> None:
    first = np.moveaxis(colour, 2, 0)
    opaque = np.dstack([colour, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    layouts = [colour, first, torch.from_numpy(first.copy()), torch.from_numpy(colour), opaque]
    for layout in [*layouts, Image.fromarray(colour), Image.fromarray(opaque)]:
        result = to_rgb(layout, "x")
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
        np.testing.assert_array_equal(result, colour)


def test_grey_layouts_are_repeated(grey: NDArray[np.uint8]) -> None:
    for layout in (grey, grey[..., None], grey[None], torch.from_numpy(grey)[None]):
        np.testing.assert_array_equal(to_rgb(layout, "x"), np.dstack([grey] * 3))


def test_a_tensor_of_three_columns_is_channels_first() -> None:
    tensor = torch.arange(27, dtype=torch.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(to_rgb(tensor, "x"), tensor.permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(to_rgb(tensor.numpy(), "x"), tensor.numpy())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_scaled_from_one(colour: NDArray[np.uint8], dtype: type) -> None:
    np.testing.assert_array_equal(to_rgb((colour / 255).astype(dtype), "x"), colour)


def test_half_precision_tensors_are_read() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        tensor = torch.tensor([[[0.0, 0.5], [1.0, 0.25]]], dtype=dtype, requires_grad=True)
        assert to_rgb(tensor, "x")[..., 0].tolist() == [[0, 128], [255, 64]]


def test_rounding_errors_of_floats_are_forgiven() -> None:
    assert to_rgb(np.array([[1.0002, -0.0002]]), "x")[..., 0].tolist() == [[255, 0]]


def test_sixteen_bits_follow_the_depth_of_the_camera() -> None:
    full = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert to_rgb(full, "x")[0, :, 0].tolist() == [0, 1, 128, 255]
    twelve = np.array([[0, 16, 2048, 4095]], np.uint16)
    assert to_rgb(twelve, "x")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bits_are_not_stretched_image_by_image() -> None:
    dark, bright = np.array([[0, 1000]], np.uint16), np.array([[0, 4000]], np.uint16)
    levels = Levels(0, 4095)
    ratio = to_rgb(bright, "x", levels).max() / to_rgb(dark, "x", levels).max()
    assert ratio == pytest.approx(4, rel=0.02)


def test_wide_integers_and_booleans() -> None:
    assert to_rgb(np.array([[0, 9, 255]]), "x")[0, :, 0].tolist() == [0, 9, 255]
    assert to_rgb(np.array([[0, 65535]]), "x")[0, :, 0].tolist() == [0, 255]
    assert to_rgb(np.array([[False, True]]), "x")[0, :, 0].tolist() == [0, 255]


def test_transparency_is_composited_on_black() -> None:
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], np.uint8)
    assert to_rgb(pixels, "x")[0].tolist() == [[200, 100, 50], [0, 0, 0], [40, 20, 10]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((4, 4), np.nan, np.float32), "NaN"),
        (np.full((4, 4), np.inf), "NaN or infinite"),
        (np.zeros((0, 4)), "empty"),
        (np.zeros(4), "shape"),
        (np.zeros((5, 4, 2)), "shape"),
        (np.zeros((2, 4, 4, 3)), "shape"),
        (np.full((4, 4), 128.0), "scale floats to 0..1"),
        (np.full((4, 4), -1), "-1"),
        (np.full((4, 4), 70000), "70000"),
        (np.zeros((4, 4), complex), "complex"),
        (np.full((4, 4), None), "object"),
        ("a.png", "type str"),
    ],
)
def test_unusable_pictures_are_named(bad: object, message: str) -> None:
    with pytest.raises(InputError, match="image 'plate/7'") as caught:
        to_rgb(bad, "plate/7")  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "LA", "RGBA", "I", "I;16", "HSV"])
def test_pillow_modes_are_read(mode: str, grey: NDArray[np.uint8]) -> None:
    wide = {"I;16": grey.astype(np.uint16) * 257, "I": grey.astype(np.int32)}
    image = Image.fromarray(wide[mode]) if mode in wide else Image.fromarray(grey).convert(mode)
    assert image.mode == mode
    expected = np.asarray(image.convert("RGB")) if mode not in wide else np.dstack([grey] * 3)
    np.testing.assert_array_equal(to_rgb(image, "x"), expected)


def test_lossless_files_are_read_as_saved(tmp_path: Path, colour: NDArray[np.uint8]) -> None:
    for suffix in (".png", ".bmp", ".tif", ".ppm", ".webp"):
        path = tmp_path / f"schräg v1.2 {suffix}{suffix}"
        Image.fromarray(colour).save(path, lossless=True)
        result = read_image(path)
        np.testing.assert_array_equal(result, colour)
        assert result.flags.writeable


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=0)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[0, 0, 0], [200, 100, 50]]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("white", [4095, 65535])
def test_sixteen_bit_files(tmp_path: Path, suffix: str, channels: int, white: int) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, channels))
    levels[0, 0] = 255
    if channels == 4:
        levels[..., 3] = 255
    deep = np.round(levels * (white / 255)).astype(np.uint16)
    path = tmp_path / f"a{suffix}"
    # As cameras of 12 bits write it, an opaque alpha is the full range of the camera.
    cv2.imwrite(str(path), deep)
    expected = np.repeat(levels, 3, axis=2) if channels == 1 else levels[..., 2::-1]
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_tiff_files(tmp_path: Path, grey: NDArray[np.uint8], dtype: type) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), (grey / 255).astype(dtype))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.dstack([grey] * 3))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = np.full((24, 40), 30, np.uint8)
    stored[:8, :16] = 220
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"phone{suffix}"
    Image.fromarray(stored).save(path, exif=exif)
    seen = read_image(path)[..., 0] > 128
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }[orientation]
    np.testing.assert_array_equal(seen, upright > 128)
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        np.testing.assert_array_equal(to_rgb(image, "x"), read_image(path))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert ("the file is empty" in str(caught.value)) == (share == 0)


def test_other_content_and_missing_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "pointer.png"
    text.write_text("version https://example.org/spec/v1", encoding="utf-8")
    with pytest.raises(InputError, match="not in a known image format"):
        read_image(text)
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "none.png")
