"""Mask files: which of their values mark something."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import decode, open_image

_MOST_CLASS_INDICES = 15
_FEWEST_EDGE_VALUES = 3
_VOID = 255
_NOISE = 0.2
"""Share of the highest value below which values that spread are noise; a JPEG file of quality 75
spreads white by less, and defects of 60 beside 240 lie above it."""


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Reads a mask from an image file.

    - Every value above 0 marks a defect, in any channel; of a palette image every index above 0,
      whatever its colour. Transparent pixels mark nothing.
    - 255 beside class indices of at most 15, or beside other indices of a palette, is void and
      marks nothing.
    - Where values spread, less than a fifth of the highest value is noise. They do so in JPEG
      files, and in smoothed masks, in which few pixels between 0 and the highest value have
      neighbours of the same value. In a smoothed mask, each connected piece is marked where it is
      above half of its own highest value.

    Args:
        path: A file in any format that images may have.

    Returns:
        HxW bool, True where something is marked.

    Raises:
        InputError: The file is missing, damaged or empty, or holds NaN.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[NDArray[np.bool_], str]:
    """A mask, and what had to be assumed to read it: "void", "JPEG" or nothing."""
    values, kind = _values(path)
    return _marked(values, kind, path)


def read_kinds(path: Path) -> NDArray[np.int64] | None:
    """Reads the numbers of the kinds of defects from a mask whose values are such numbers.

    Args:
        path: A file in any format that images may have.

    Returns:
        HxW, the number of the kind, 0 where nothing is marked; of a palette image the index. None
        where the values are no numbers of kinds: in JPEG files and files of one bit a pixel, where
        values are not whole, and where they exceed 15 without a palette.

    Raises:
        InputError: See `read_mask`.
    """
    values, kind = _values(path)
    marked, _ = _marked(values, kind, path)
    if kind == "JPEG" or values.dtype.kind not in "iu":
        return None
    kinds = np.where(marked, values, 0).astype(np.int64)
    return kinds if kind == "palette" or kinds.max() <= _MOST_CLASS_INDICES else None


def _marked(values: NDArray[Any], kind: str, path: Path) -> tuple[NDArray[np.bool_], str]:
    """See `_read`; `values` and `kind` are those of `_values`."""
    peak = values.max()
    if not np.isfinite(peak):
        raise InputError(
            f"mask '{path}' holds NaN or infinite values; save it as a black and white .png"
        )
    between = (values > 0) & (values < peak)
    if not between.any() or values.dtype.kind == "b":
        return values > 0, ""
    if kind == "JPEG":
        return np.asarray(values > _NOISE * peak), "JPEG"
    if kind == "palette":
        return (between, "void") if peak == _VOID else (values > 0, "")
    flat = _share_in_squares(values, between)
    if values.dtype.kind in "iu" and values[between].max() <= _MOST_CLASS_INDICES:
        # Resizing leaves single pixels of low values around marks of 255; those are no classes.
        return (between, "void") if peak == _VOID and flat >= 0.5 else (values > 0, "")
    smoothed = flat < 0.5 and len(np.unique(values[between])) >= _FEWEST_EDGE_VALUES
    return (_marked_by_piece(values) if smoothed else values > 0), ""


def _values(path: Path) -> tuple[NDArray[Any], str]:
    """One value a pixel, 0 where nothing is marked; and "JPEG", "palette" or nothing."""
    kind = ""
    try:
        with open_image(path) as image:
            kind = "JPEG" if image.format in ("JPEG", "MPO") else ""
            if image.mode in ("P", "PA"):
                return _palette_values(image)
    except Exception:  # Pillow raises a dozen types; `decode` names the fault.
        pass
    pixels = decode(path, "mask")
    if pixels.ndim == 2:
        return pixels, kind
    values = pixels[..., :3].max(axis=2)
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3]
        if not values.any():  # Black strokes on a transparent ground.
            return opacity, kind
        values = np.ceil(values * (opacity / max(opacity.max(), 1))).astype(values.dtype)
    return values, kind


def _palette_values(image: Image.Image) -> tuple[NDArray[np.uint8], str]:
    """The indices, or the greys of a palette that rises from black; 0 where it is transparent."""
    upright = ImageOps.exif_transpose(image)
    indices = np.array(upright)
    indices = indices if indices.ndim == 2 else indices[..., 0]
    opaque = np.array(upright.convert("RGBA"))[..., 3] > 0
    used = np.unique(indices)
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    greys = colours[used[used < len(colours)]].astype(int)
    is_grey = (greys == greys[:, :1]).all() and (np.diff(greys[:, 0]) > 0).all()
    if len(greys) == len(used) > 1 and is_grey and colours[0].max() == 0:
        return colours[indices, 0] * opaque, ""
    return indices * opaque, "palette"


def _share_in_squares(values: NDArray[Any], chosen: NDArray[np.bool_]) -> float:
    """The share of the chosen pixels that are in a square of four pixels of one value.

    Areas of one class are full of such squares, and smoothed edges have almost none.
    """
    alike = (values[1:, 1:] == values[:-1, 1:]) & (values[1:, 1:] == values[1:, :-1])
    squares = np.zeros(values.shape, np.uint8)
    squares[1:, 1:] = alike & (values[1:, 1:] == values[:-1, :-1])
    flat = cv2.dilate(squares, np.ones((2, 2), np.uint8), anchor=(0, 0)) > 0
    return np.count_nonzero(flat & chosen) / np.count_nonzero(chosen)


def _marked_by_piece(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where each connected piece above the noise exceeds half of its own highest value."""
    above = (values > _NOISE * values.max()).astype(np.uint8)
    count, pieces = cv2.connectedComponents(above, connectivity=8)
    peaks = np.asarray(ndimage.maximum(values, pieces, np.arange(count)))
    return np.asarray((above > 0) & (values > peaks[pieces] / 2))


def read_joined(source: Path | tuple[Path, ...]) -> tuple[NDArray[np.bool_], str]:
    """The union of the masks of one image, and what had to be assumed; see `_read`."""
    paths = source if isinstance(source, tuple) else (source,)
    joined, assumed = _read(paths[0])
    for path in paths[1:]:
        mask, further = _read(path)
        if mask.shape != joined.shape:
            raise _of_other_size(paths[0], path)
        joined, assumed = joined | mask, assumed or further
    return joined, assumed


def read_by_kind(source: Path | tuple[Path, ...]) -> dict[int, NDArray[np.bool_]] | None:
    """The mask of each kind that the files of one image mark; see `read_kinds`."""
    paths = source if isinstance(source, tuple) else (source,)
    masks: dict[int, NDArray[np.bool_]] = {}
    shape: tuple[int, ...] | None = None
    for path in paths:
        kinds = read_kinds(path)
        if kinds is None:
            return None
        if shape is not None and kinds.shape != shape:
            raise _of_other_size(paths[0], path)
        shape = kinds.shape
        for number in np.unique(kinds[kinds > 0]).tolist():
            masks[number] = masks.get(number, False) | (kinds == number)
    return masks


def _of_other_size(first: Path, other: Path) -> InputError:
    return InputError(
        f"the masks '{first}' and '{other}' of one image differ in size; save both at the size of "
        "the image"
    )


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """Encodes a mask without loss as a PNG file of one bit a pixel.

    Args:
        mask: (H, W), bool.

    Returns:
        The contents of the file; True is white.
    """
    _, code = cv2.imencode(".png", mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
    return code.tobytes()


def decode_mask(code: bytes) -> NDArray[np.bool_]:
    """Decodes what `encode_mask` returned, (H, W), bool."""
    pixels = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_GRAYSCALE)
    return np.asarray(pixels) > 0
