"""Square cut-outs of images and masks."""

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def crop(
    image: NDArray[Scalar], box: NDArray[np.float64], fill: Literal["reflect", "zero"]
) -> NDArray[Scalar]:
    """Cuts a box out of an image, whether or not it lies inside.

    Args:
        image: (H, W) or (H, W, C), any type: an image or a mask.
        box: (4,): left, top, right, bottom in px; rounded half to even, as Pillow does.
        fill: What stands outside the image: its mirror image, or zeros (black, no mask).

    Returns:
        (bottom - top, right - left) or with C behind; may be a view of `image`.
    """
    left, top, right, bottom = (int(edge) for edge in np.rint(box))
    height, width = image.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return image[top:bottom, left:right]
    rows, columns = np.arange(top, bottom), np.arange(left, right)
    if fill == "reflect":
        return image[_mirrored(rows, height)[:, None], _mirrored(columns, width)]
    out = np.zeros((rows.size, columns.size, *image.shape[2:]), image.dtype)
    y, x = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    out[np.ix_(y, x)] = image[rows[y][:, None], columns[x]]
    return out


def _mirrored(positions: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Positions beyond an edge, sent back by a mirror on the outermost pixel."""
    period = max(2 * (length - 1), 1)
    folded = np.abs(positions) % period
    mirrored: NDArray[np.int64] = np.minimum(folded, period - folded)
    return mirrored
