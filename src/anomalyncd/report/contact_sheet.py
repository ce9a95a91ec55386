"""A contact sheet: thumbnails of many images in one picture, with the masks outlined."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.writing import refuse_unwritable, write_atomically
from anomalyncd.runtime.progress import track

_SIDE, _CAPTION, _GAP = 160, 14, 6
_COLUMNS = 8
_MOST = 64
_MARK = (230, 30, 30)
_GREY = 235


def write_sheet(images: ImageSet, path: str | Path, masks: Masks | None = None) -> None:
    """Writes thumbnails of up to 64 images, spread evenly over all, with their names below.

    Args:
        images: The images; an image that cannot be read is grey.
        path: A picture file, `.jpg` or `.png`; missing folders are made.
        masks: Masks of the images, outlined in red.

    Raises:
        InputError: See `check_sheet`.
    """
    check_sheet(path)
    target = Path(path).expanduser()
    chosen = np.unique(np.linspace(0, len(images) - 1, _MOST).round().astype(int))
    n_rows = -(-len(chosen) // _COLUMNS)
    size = (_COLUMNS * (_SIDE + _GAP) + _GAP, n_rows * (_SIDE + _CAPTION + _GAP) + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for place, index in enumerate(track(chosen.tolist(), "Drawing thumbnails")):
        row, column = divmod(place, _COLUMNS)
        left, top = _GAP + column * (_SIDE + _GAP), _GAP + row * (_SIDE + _CAPTION + _GAP)
        tile = Image.fromarray(_thumbnail(images, index, masks))
        sheet.paste(tile, (left + (_SIDE - tile.width) // 2, top + (_SIDE - tile.height) // 2))
        draw.text((left, top + _SIDE + 1), _caption(images.names[index]), fill="black")
    with write_atomically(target) as temporary:
        sheet.save(temporary)


def check_sheet(path: str | Path) -> None:
    """Checks, before images are read, that a contact sheet can be written to a path.

    Raises:
        InputError: The suffix is neither `.jpg` nor `.png`, it is a folder, or nothing can be
            written there.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in (".jpg", ".jpeg", ".png") or target.is_dir():
        raise InputError(f"contact sheet '{target}' cannot be written; name a .jpg or .png file")
    refuse_unwritable(target.parent)


def _thumbnail(images: ImageSet, index: int, masks: Masks | None) -> NDArray[np.uint8]:
    """Returns an image with a longer side of `_SIDE`, RGB, (h, w, 3), uint8."""
    try:
        pixels = images.image(index)
        scale = _SIDE / max(pixels.shape[:2])
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        mask = None if masks is None else masks.at_size(index, (height, width))
    except InputError:
        return np.full((_SIDE, _SIDE, 3), _GREY, np.uint8)
    if mask is not None:
        # With a frame masks are outlined at the edge of the image as well.
        framed = np.pad(mask.astype(np.uint8), 1)
        inner = cv2.erode(framed, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
        small[mask & ~inner] = _MARK
    return np.asarray(small, dtype=np.uint8)


def _caption(name: str) -> str:
    # Names differ more at their end than at their beginning.
    most = _SIDE // 6
    caption = name.encode("ascii", "replace").decode("ascii")
    return caption if len(caption) <= most else f"...{caption[3 - most :]}"
