"""Decodes image files to arrays in the bit depth in which they were saved."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from anomalyncd.errors import InputError

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def decode(path: Path, what: str) -> NDArray[Any]:
    """Decodes an image file and applies its EXIF orientation.

    Args:
        path: The file; if it has several pages, the first one is read.
        what: What the file is, for messages: "image", "map", "mask".

    Returns:
        The pixels, H x W (bool, uint8, uint16, int32 or float), or H x W x 3 or H x W x 4 (mostly
        uint8) with red first.

    Raises:
        InputError: The file is missing, empty, damaged, truncated or of an unknown format.
    """
    try:
        # From bytes, because Pillow maps uncompressed TIFF files by name and decodes those with an
        # orientation wrongly. No file handle stays open either.
        return _decode_bytes(path.read_bytes())
    # For damaged files Pillow raises a dozen types, among them SyntaxError and struct.error.
    except Exception as error:
        raise unreadable(path, what, error) from error


def unreadable(path: Path, what: str, error: Exception) -> InputError:
    """Returns the error for a file that cannot be read, with the cause and the remedy."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{what} '{path}' does not exist; check the path")
    if isinstance(error, Image.DecompressionBombError):
        return InputError(f"{what} '{path}' has too many pixels; cut it into tiles")
    if path.is_file() and path.stat().st_size == 0:
        reason = "the file is empty"
    elif isinstance(error, UnidentifiedImageError):
        reason = "damaged, or not in a known image format"
    else:
        reason = str(error) or type(error).__name__
    return InputError(f"{what} '{path}' cannot be read ({reason}); save it again or remove it")


def pixels_of(image: Image.Image) -> NDArray[Any]:
    """Returns the pixels of a Pillow image: grey in its bit depth, all other modes as RGB or RGBA.

    They are a copy, because torch warns of the read-only arrays that Pillow shares.
    """
    if image.has_transparency_data:
        return np.array(image.convert("RGBA"))
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        pixels = np.array(image)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return np.array(image.convert("RGB"))


def _decode_bytes(data: bytes) -> NDArray[Any]:
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        # OpenCV reads some TIFF files that Pillow does not, above all 64-bit floats.
        pixels = _decode_deep(data) if data.startswith(_TIFF_STARTS) else None
        if pixels is None:
            raise
        return pixels
    with image:
        # Pillow has no 16-bit colour and would drop the lower byte.
        deep = image.mode in ("RGB", "RGBA") and any(";16" in str(t.args) for t in image.tile)
        upright = image.getexif().get(0x0112, 1) == 1
        oriented = ImageOps.exif_transpose(image)
        pixels = _decode_deep(data) if deep and upright else None
        return pixels_of(oriented) if pixels is None else pixels


def _decode_deep(data: bytes) -> NDArray[Any] | None:
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim == 2:
        return pixels
    red_first = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., red_first])
