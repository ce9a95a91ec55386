"""How large an image may be, checked before its pixels are decoded."""

import io
import math
import warnings
from dataclasses import dataclass

from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import open_image

_MOST_PAGES = 64
"""Pages of one file; only their headers are read."""


class TooLargeError(InputError):
    """An image that exceeds a limit; the message names the image, the limit and the remedy."""


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Raises:
        InputError: A limit is not positive.
    """

    most_bytes: int = 64_000_000
    """Bytes of one request, and of one image given by its path."""
    most_pixels: int = 100_000_000
    """Pixels of one image, of all its pages together."""
    most_images: int = 32
    """Images of one request."""
    seconds: float = 60.0
    """Time to read a request, and time until its answer."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"`{name}` is {value}; give a number above 0")


def check_size(data: bytes, name: str, limits: Limits) -> None:
    """Refuses an image that is too large, by what its header says.

    Args:
        data: A file of an image.
        name: What a message calls it.
        limits: The limits.

    Raises:
        TooLargeError: It has too many bytes, pixels or pages.
        InputError: It is no image.
    """
    if len(data) > limits.most_bytes:
        raise TooLargeError(
            f"image '{name}' has {len(data):,} bytes, and {limits.most_bytes:,} are allowed; "
            "compress it, or raise the limit of the server"
        )
    try:
        n_pages, pixels = _size(data)
    # For damaged files Pillow raises a dozen types, among them SyntaxError and struct.error.
    except Exception as error:
        if isinstance(error, Image.DecompressionBombError):
            raise _too_many_pixels(name, limits) from error
        reason = "the file is empty" if not data else "damaged, or not in a known image format"
        raise InputError(
            f"image '{name}' cannot be read ({reason}); save it again or remove it"
        ) from error
    if n_pages > _MOST_PAGES:
        raise TooLargeError(
            f"image '{name}' has more than {_MOST_PAGES} pages; send the page that matters"
        )
    if pixels > limits.most_pixels:
        raise _too_many_pixels(name, limits)


def _size(data: bytes) -> tuple[int, int]:
    """The number of pages, up to one more than is allowed, and of pixels."""
    with warnings.catch_warnings(), open_image(io.BytesIO(data)) as image:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        # Frames of all other formats are of one size, and only the first one is decoded.
        if image.format not in ("TIFF", "MPO"):
            return 1, image.width * image.height
        pixels = 0
        for page in range(_MOST_PAGES + 1):
            try:
                image.seek(page)
            except EOFError:
                return page, pixels
            pixels += image.width * image.height
        return _MOST_PAGES + 1, pixels


def _too_many_pixels(name: str, limits: Limits) -> TooLargeError:
    return TooLargeError(
        f"image '{name}' has more than {limits.most_pixels:,} pixels; cut it into tiles, or raise "
        "the limit of the server"
    )
