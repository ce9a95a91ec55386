"""One image in any form that a line has it in, read once."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.levels import Levels, depth_of, learn_levels
from anomalyncd.images.pixels import to_pixels, to_rgb
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.decoding import Decoded, decode_bytes, decode_file

Picture: TypeAlias = str | Path | bytes | NDArray[Any] | Image.Image
"""A file, the content of a file, or pixels."""


def read_picture(picture: Picture, name: str | None, levels: Levels | None) -> Inputs:
    """Reads one image as `check_inputs` and `ImageSet` do, but decodes it only once.

    Args:
        picture: The image; arrays as `to_rgb` takes them.
        name: Its name; None takes that of the file without the suffix, or "image".
        levels: What is black and white in images of more than 8 bits; None takes what the file
            states, or the image for a set of its own.

    Returns:
        The image alone, with 8 bits.

    Raises:
        InputError: The image cannot be read.
    """
    path = Path(picture).expanduser() if isinstance(picture, str | Path) else None
    chosen = name or (path.stem if path else "image")
    decoded = _decode(picture, chosen)
    pixels = to_pixels(decoded.pixels, str(path or chosen))
    if pixels.dtype != np.uint8:
        levels = levels or learn_levels([depth_of(pixels, decoded.levels)])[0]
    rgb = to_rgb(pixels, chosen, levels)
    sizes = np.array([rgb.shape[:2]], np.int64)
    return Inputs(ImageSet((chosen,), (rgb,)), sizes)


def _decode(picture: Picture, name: str) -> Decoded:
    if isinstance(picture, str | Path):
        return decode_file(Path(picture).expanduser(), "image")
    if isinstance(picture, bytes | bytearray | memoryview):
        return decode_bytes(bytes(picture), "image", name)
    return Decoded(to_pixels(picture, name))
