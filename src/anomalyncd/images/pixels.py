"""Images of every common kind, as HxWx3 arrays of 8 bits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anomalyncd.errors import InputError
from anomalyncd.images.level_values import HIGHEST
from anomalyncd.images.levels import Levels, depth_of, learn_levels
from anomalyncd.io.decoding import decode_file, pixels_of
from anomalyncd.io.tensors import is_tensor

if TYPE_CHECKING:
    import torch

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".jpx", ".webp", ".avif"}
    | {".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".pcx", ".tga"}
)
"""Suffixes of the files that count as images, in lower case."""


def to_rgb(
    image: "NDArray[Any] | torch.Tensor | Image.Image", name: str, levels: Levels | None = None
) -> NDArray[np.uint8]:
    """Turns an image of any common kind into RGB of 8 bits, always in the same way.

    - Transparency is composited on black, the background of most cut-out images.
    - Integers of more than 8 bits are scaled from the levels of the set to which the image
      belongs, so differences in brightness between the images of a set are preserved.
    - Floats must lie in 0..1.

    Args:
        image: HxW, HxWx1, HxWx3 or HxWx4 array; 1xHxW, 3xHxW or 4xHxW array or tensor; or a Pillow
            image, whose EXIF orientation is applied.
        name: What a message calls the image.
        levels: The levels of the set; None takes the image for a set of its own.

    Returns:
        HxWx3 uint8, red first; may share memory with `image`.

    Raises:
        InputError: The type, shape or range is wrong, or it is empty or holds NaN or infinite
            values.
    """
    pixels = to_pixels(image, name)
    if pixels.dtype != np.uint8:
        levels = levels or learn_levels([depth_of(pixels)])[0]
        opacity = Levels(0, levels.white).to_8_bits(pixels[..., 3:])
        pixels = np.concatenate([levels.to_8_bits(pixels[..., :3]), opacity], axis=2)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * opacity + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def to_pixels(image: "NDArray[Any] | torch.Tensor | Image.Image", name: str) -> NDArray[Any]:
    """Turns an image of any common kind into an array, in its depth.

    Args:
        image: See `to_rgb`.
        name: What a message calls the image.

    Returns:
        HxWx1, HxWx3 or HxWx4, red first: uint8, or uint16 for integers of more than 8 bits; may
        share memory with `image`.

    Raises:
        InputError: See `to_rgb`.
    """
    label = f"image '{name}'"
    pixels = _channels_last(_as_array(image, label), is_tensor(image), label)
    return _to_16_or_8_bits(pixels, label)


def read_image(path: Path, levels: Levels | None = None) -> NDArray[np.uint8]:
    """Reads an image with its EXIF orientation applied; of several pages the largest.

    Args:
        path: A file in one of the formats of `IMAGE_SUFFIXES`, whatever its own suffix.
        levels: See `to_rgb`.

    Returns:
        HxWx3 uint8, red first; see `to_rgb` for 16 bits, floats and transparency.

    Raises:
        InputError: The file is missing or damaged, or holds values that cannot be an image.
    """
    return to_rgb(decode_file(path, "image").pixels, str(path), levels)


def _as_array(image: object, label: str) -> NDArray[Any]:
    if isinstance(image, Image.Image):
        try:
            return pixels_of(ImageOps.exif_transpose(image))
        except OSError as error:
            raise InputError(f"{label} cannot be read ({error}); open it again") from error
    if is_tensor(image):
        tensor = image.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if isinstance(image, np.ndarray):
        return image
    raise InputError(
        f"{label} is of type {type(image).__name__}; give a path, array, tensor or Pillow image"
    )


def _channels_last(pixels: NDArray[Any], prefer_first: bool, label: str) -> NDArray[Any]:
    counts = (1, 3, 4)
    if pixels.size == 0:
        raise InputError(f"{label} is empty (shape {pixels.shape}); remove it")
    if pixels.ndim == 2:
        return pixels[..., None]
    first = pixels.ndim == 3 and pixels.shape[0] in counts
    last = pixels.ndim == 3 and pixels.shape[2] in counts
    if first and (prefer_first or not last):
        return np.moveaxis(pixels, 0, 2)
    if last:
        return pixels
    raise InputError(
        f"{label} has shape {pixels.shape}; expected HxW, HxWx1, HxWx3, HxWx4 or 3xHxW"
    )


def _to_16_or_8_bits(pixels: NDArray[Any], label: str) -> NDArray[Any]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        return _float_to_8_bits(pixels, label)
    if pixels.dtype.kind not in "iu":
        raise InputError(f"{label} holds values of type {pixels.dtype}; convert it to uint8")
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > HIGHEST:
        raise InputError(f"{label} holds values {low}..{high}; scale it to 0..255 or 0..{HIGHEST}")
    return pixels.astype(np.uint16, copy=False)


def _float_to_8_bits(pixels: NDArray[Any], label: str) -> NDArray[np.uint8]:
    if not np.isfinite(pixels).all():
        raise InputError(f"{label} holds NaN or infinite values; give finite ones in 0..1")
    low, high = float(pixels.min()), float(pixels.max())
    # Resizing in floating point may exceed the range by a rounding error.
    if low < -1e-3 or high > 1 + 1e-3:
        raise InputError(
            f"{label} holds values {low:.4g}..{high:.4g}; scale floats to 0..1 or convert to uint8"
        )
    levels = np.clip(pixels, 0, 1).astype(np.float32) * np.float32(255)
    return np.asarray(np.rint(levels), dtype=np.uint8)
