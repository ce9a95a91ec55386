"""Decodes image files to arrays in the bit depth in which they were saved."""

import errno
import io
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from anomalyncd.errors import InputError
from anomalyncd.io.depth_tags import NOT_STATED, StatedLevels, stated_levels
from anomalyncd.runtime.resources import lacks_memory

ORIENTATION = 0x0112
"""The EXIF tag that says how a stored image becomes upright, 1 to 8; 1 leaves it as it is."""

# A log or a colour profile of some megabytes beside the pixels is no reason to refuse an image.
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 26

_LOST = frozenset(
    getattr(errno, name)
    for name in ("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "ENODEV", "ENXIO")
    if hasattr(errno, name)
)
MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
"""Pixels of an image, a map or a mask at most, 179 million; Pillow refuses more of them too."""
_FORMATS = frozenset(
    {"AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP"}
)
_MOST_PAGES = 4096
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_MOST_LOST = 0.05
_LARGEST_BLOCK = 16  # Height in pixels of what a JPEG file stores at a time.
_KIND_OF_PAGE, _THUMBNAIL_OR_MASK = 254, 0b101  # NewSubfileType of TIFF
_BITS, _PHOTOMETRIC, _PLANES = 258, 262, 284  # Tags of TIFF
_WHITE_IS_ZERO, _ONE_AFTER_ANOTHER = 0, 2


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image as its file holds it, upright."""

    pixels: NDArray[Any]
    """See `decode`."""
    levels: StatedLevels = NOT_STATED
    """The values of black and white that the file states."""
    orientation: int = 1
    """The EXIF orientation that was applied, 1 to 8."""
    n_pages: int = 1
    """Number of pages, or frames."""
    n_full_pages: int = 1
    """Number of pages as large as the one that was read."""
    lost: float = 0.0
    """Share of the pixels that a cut JPEG file lacks, 0..0.05."""
    cut: bool = False
    """Whether the end of the file is missing."""


def decode(path: Path, what: str) -> NDArray[Any]:
    """Decodes an image file and applies its EXIF orientation.

    Args:
        path: The file; if it has several pages, the first of the largest ones is read.
        what: What the file is, for messages: "image", "map", "mask".

    Returns:
        The pixels, H x W (bool, uint8, uint16, int32 or float), or H x W x 3 or H x W x 4 (mostly
        uint8) with red first.

    Raises:
        InputError: The file is missing, empty, damaged, truncated or of an unknown format.
    """
    decoded = decode_file(path, what)
    if decoded.cut:
        raise unreadable(path, what, OSError("image file is truncated"))
    return decoded.pixels


def decode_file(path: Path, what: str) -> Decoded:
    """Decodes an image file as `decode` does, and a JPEG file that lacks a little of its end.

    Args:
        path: The file.
        what: What the file is, for messages.

    Raises:
        InputError: See `decode`; a JPEG file may lack at most 5 % of its pixels.
    """
    try:
        # From bytes, because Pillow maps uncompressed TIFF files by name and decodes those with an
        # orientation wrongly. No file handle stays open either.
        return _decode_bytes(path.read_bytes())
    # For damaged files Pillow raises a dozen types, among them SyntaxError and struct.error.
    except Exception as error:
        raise unreadable(path, what, error) from error


def decode_bytes(data: bytes, what: str, name: str) -> Decoded:
    """Decodes the content of an image file as `decode_file` does.

    Args:
        data: The content of the file.
        what: What it is, for messages.
        name: What a message calls it.

    Raises:
        InputError: See `decode_file`.
    """
    try:
        return _decode_bytes(bytes(data))
    except Exception as error:
        if isinstance(error, Image.DecompressionBombError):
            raise _too_large(what, name) from error
        if lacks_memory(error):
            raise _too_little_memory(what, name) from error
        reason = _reason(error) if len(data) else "it is empty"
        raise InputError(f"{what} '{name}' cannot be read ({reason}); send it again") from error


def open_image(file: Path | io.BytesIO) -> ImageFile.ImageFile:
    """Opens an image file with Pillow, if it is of a format that cameras and scanners write.

    What a file holds counts, and not its suffix: for PostScript, Pillow would start a program.

    Args:
        file: The file, or its content.

    Raises:
        UnidentifiedImageError: It is of another format.
        Exception: It is damaged; Pillow raises a dozen types.
    """
    return Image.open(file, formats=_known_formats())


def unreadable(path: Path, what: str, error: Exception) -> InputError:
    """Returns the error for a file that cannot be read, with the cause and the remedy."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{what} '{path}' does not exist; check the path")
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(what, str(path))
    if lacks_memory(error):
        return _too_little_memory(what, str(path))
    if is_drive_lost(error):
        return InputError(
            f"{what} '{path}' cannot be read ({error.strerror}); check the connection to its "
            "drive, then run the command again"
        )
    empty = path.is_file() and path.stat().st_size == 0
    reason = "the file is empty" if empty else _reason(error)
    return InputError(f"{what} '{path}' cannot be read ({reason}); save it again or remove it")


def is_drive_lost(error: BaseException) -> TypeGuard[OSError]:
    """Returns whether the drive of a file did not answer; the file itself may be whole."""
    return isinstance(error, OSError) and error.errno in _LOST


def pixels_of(image: Image.Image) -> NDArray[Any]:
    """Returns the pixels of a Pillow image: grey in its bit depth, all other modes as RGB or RGBA.

    They are a copy, because torch warns of the read-only arrays that Pillow shares.
    """
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    if image.has_transparency_data and not deep:
        return np.array(image.convert("RGBA"))
    if deep or image.mode in ("1", "L"):
        pixels = np.array(image)
        if "transparency" in image.info:  # The one grey that is transparent counts as black.
            pixels[pixels == image.info["transparency"]] = 0
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return np.array(image.convert("RGB"))


def orientation_of(path: Path) -> int:
    """Returns the EXIF orientation of a file, 1 where it has none or cannot be read."""
    try:
        with open_image(path) as image:
            return _orientation(image)
    except Exception:
        return 1


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Returns an array (H, W, ...) turned or mirrored as an EXIF orientation says."""
    if orientation in (2, 3, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7):
        pixels = pixels[::-1]
    if orientation in (5, 7):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (6, 8):
        pixels = np.rot90(pixels, -1 if orientation == 6 else 1)
    return np.ascontiguousarray(pixels)


def _too_little_memory(what: str, name: str) -> InputError:
    return InputError(
        f"there is too little memory to read {what} '{name}'; close other programs, or give "
        "smaller images"
    )


@cache
def _known_formats() -> tuple[str, ...]:
    """The formats that this build of Pillow has."""
    Image.init()
    return tuple(sorted(_FORMATS & Image.OPEN.keys()))


def _too_large(what: str, name: str) -> InputError:
    return InputError(f"{what} '{name}' has too many pixels; cut it into tiles")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "damaged, or not in a known image format"
    return str(error) or type(error).__name__


def _decode_bytes(data: bytes) -> Decoded:
    try:
        return _decode_whole(data)
    except OSError:
        decoded = _decode_cut_jpeg(data) if data.startswith(_JPEG_START) else None
        if decoded is None:
            raise
        return decoded


def _decode_whole(data: bytes) -> Decoded:
    try:
        image = open_image(io.BytesIO(data))
    except UnidentifiedImageError:
        # OpenCV reads some TIFF files that Pillow does not, above all 64-bit floats.
        is_tiff = data.startswith(_TIFF_STARTS) and _area_of_tiff(data)
        pixels = _decode_deep(data, 0) if is_tiff else None
        if pixels is None:
            raise
        return Decoded(pixels)
    with image:
        page, n_pages, n_full_pages = _largest_page(image)
        _refuse_planes(image)
        levels = stated_levels(image, data)
        # Pillow has no 16-bit colour and would drop the lower byte.
        deep = image.mode in ("RGB", "RGBA", "LA") and (
            any(";16" in str(tile.args) for tile in image.tile)
            or image.format in ("PPM", "JPEG2000")
        )
        orientation = _orientation(image)  # Of PNG files it is known once all is read.
        colours = _decode_deep(data, page) if deep else None
        if colours is not None and colours.dtype == np.uint16:
            if not image.has_transparency_data or "RGBa" in str(image.tile):
                # A fourth channel is no opacity unless the file says so; `RGBa` lies on black.
                colours = colours[..., :3] if colours.ndim == 3 else colours
            # OpenCV turns TIFF files upright, and no others.
            turn = 1 if image.format == "TIFF" else orientation
            pixels = upright(colours, turn)
        else:
            # The header of a TGA file says how many bits of the fourth byte are opacity.
            opaque = image.format == "TGA" and not data[17] & 15
            pixels = pixels_of(ImageOps.exif_transpose(image.convert("RGB") if opaque else image))
            if pixels.dtype == np.uint16 and _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO:
                pixels = np.iinfo(np.uint16).max - pixels  # Pillow inverts those of 8 bits alone.
        return Decoded(pixels, levels, orientation, n_pages, max(1, n_full_pages))


def _tag(image: Image.Image, number: int) -> Any:
    """The value of a tag of a TIFF file; None for a file that has none."""
    return image.tag_v2.get(number) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _refuse_planes(image: Image.Image) -> None:
    """Raises for channels of 16 bits in separate planes: Pillow and OpenCV return wrong values."""
    bits = _tag(image, _BITS) or (8,)
    if _tag(image, _PLANES) == _ONE_AFTER_ANOTHER and len(bits) > 1 and max(bits) > 8:
        raise ValueError("16-bit channels stored one after another; save them interleaved")


def _orientation(image: Image.Image) -> int:
    found = image.getexif().get(ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def _area_of_tiff(data: bytes) -> int:
    """The pixels of the first page of a TIFF file.

    Raises:
        DecompressionBombError: They are too many.
    """
    is_large = data[2:4] in (b"+\0", b"\0+")  # BigTIFF, whose offsets have eight bytes.
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if is_large else 8])
    content = io.BytesIO(data)
    content.seek(directory.next)
    directory.load(content)
    area = int(directory[256]) * int(directory[257])
    if area > MOST_PIXELS:
        raise Image.DecompressionBombError
    return area


def _largest_page(image: Image.Image) -> tuple[int, int, int]:
    """Goes to the largest page of a file; its number, all pages, and how many are as large."""
    if image.format not in ("TIFF", "MPO"):
        # The frames of all other formats are of one size.
        n_frames = getattr(image, "n_frames", 1)
        return 0, n_frames, n_frames
    areas: list[int] = []
    try:
        # Pillow takes the longer for each page the more there are; it stops at `EOFError`.
        while len(areas) <= _MOST_PAGES:
            image.seek(len(areas))
            kind = _tag(image, _KIND_OF_PAGE) or 0
            areas.append(0 if kind & _THUMBNAIL_OR_MASK else image.width * image.height)
    except (EOFError, OSError, SyntaxError, ValueError):
        pass  # A damaged page behind intact ones.
    if len(areas) > _MOST_PAGES:
        raise ValueError(f"more than {_MOST_PAGES:,} pages; save the page that matters")
    page = int(np.argmax(areas)) if areas else 0
    image.seek(page)
    return page, max(1, len(areas)), areas.count(max(areas, default=0))


def _decode_deep(data: bytes, page: int) -> NDArray[Any] | None:
    encoded = np.frombuffer(data, dtype=np.uint8)
    if page:
        pages = cv2.imdecodemulti(encoded, cv2.IMREAD_UNCHANGED, range=(page, page + 1))[1]
        pixels = pages[0] if pages else None
    else:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim == 2:
        return pixels
    red_first = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., red_first])


def _decode_cut_jpeg(data: bytes) -> Decoded | None:
    """An image whose file lacks its end; None where too much is missing."""
    lost, progressive = _lost_of_jpeg(data)
    # In a progressive file a cut may blur all pixels.
    if lost > (0 if progressive else _MOST_LOST):
        return None
    return replace(_decode_whole(data + _JPEG_END), lost=lost, cut=True)


def _lost_of_jpeg(data: bytes) -> tuple[float, bool]:
    """The share of pixels that a JPEG file without its end lacks, and whether it is progressive.

    What is decoded from the cut on depends on the bytes that are put there, so two continuations
    differ from the first block on that is lost. Blocks are stored row by row.
    """
    noise = np.random.default_rng(0).integers(0, 255, len(data), dtype=np.uint8).tobytes()
    continued = []
    for end in (_JPEG_END, noise + _JPEG_END):
        with open_image(io.BytesIO(data + end)) as image:
            continued.append(np.asarray(image.convert("RGB")))
            progressive = "progressive" in image.info
    differs = (continued[0] != continued[1]).any(axis=2)
    if not differs.any():
        return 0.0, progressive
    height, width = differs.shape
    top = int(differs.any(axis=1).argmax())
    row = differs[top : top + _LARGEST_BLOCK]
    left = int(row.any(axis=0).argmax())
    return 1 - (top * width + len(row) * left) / (height * width), progressive
