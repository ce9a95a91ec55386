"""Square crops of images, and of masks and maps that lie over them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.table import Regions, resize_mask

Scalar = TypeVar("Scalar", bound=np.generic)


def crop(
    image: NDArray[Scalar], box: NDArray[np.float64], fill: Literal["reflect", "zero"]
) -> NDArray[Scalar]:
    """Cuts a box out of an image, whether or not it lies inside.

    Args:
        image: (H, W) or (H, W, C), any type: an image or a mask.
        box: (4,): left, top, right, bottom in px; rounded half to even, as Pillow does.
        fill: Values outside the image: its reflection, or zeros (black, no mask).

    Returns:
        (bottom - top, right - left), or with C as third axis; may be a view of `image`.
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
    """Reflects positions outside of 0..length - 1 about the outermost pixels."""
    period = max(2 * (length - 1), 1)
    folded = np.abs(positions) % period
    mirrored: NDArray[np.int64] = np.minimum(folded, period - folded)
    return mirrored


Levels = NDArray[np.float32]

_LARGEST_CROP = 4096
"""Side from twice which on a crop is thinned out, px."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A region as an image of L x L pixels, with its mask and other overlays."""

    image: NDArray[np.uint8]
    """(L, L, 3), RGB."""
    mask: Levels
    """Share of each pixel that is anomalous, 0..1."""
    foreground_mask: Levels | None = None
    """Share of each pixel that is foreground, 0..1; the anomaly and its surroundings are included.
    None takes the whole crop for foreground."""
    anomaly_map: Levels | None = None
    """Anomaly scores, 0..1; None where they are not needed."""


@dataclass(frozen=True, eq=False)
class Overlays:
    """What is cut out of each region besides its image and its mask."""

    foreground: Masks | None = None
    """The foreground of each image; None, or an empty mask, takes the whole image."""
    reach: int = 0
    """Width in crop pixels of the surroundings of an anomaly that always count as foreground."""
    scores: Callable[[int], Levels] | None = None
    """Returns the anomaly map of an image by its index, (h, w), 0..1; None cuts out no map."""


def read_crops(
    images: ImageSet, regions: Regions, config: Config, overlays: Overlays | None = None
) -> Iterator[Crop]:
    """Cuts every region out of its image, and out of its mask and overlays in the same way.

    Args:
        images: The images; each is read once.
        regions: The boxes and masks.
        config: `crops.load_size` is the side L of a crop in pixels. With `regions.rules` `paper`,
            pixels outside the image are black and a crop that is not square is cut to its first
            corner; with `default`, pixels outside the image are reflected.
        overlays: The foreground and the anomaly maps; None cuts out neither.

    Yields:
        The crop of each region.
    """
    overlays, side = overlays or Overlays(), config.crops.load_size
    fill: Literal["zero", "reflect"] = "zero" if config.regions.rules == "paper" else "reflect"
    current = -1
    for index, box in zip(regions.image.tolist(), regions.box, strict=True):
        if index != current:
            current, image = index, images.image(index)
            size = image.shape[:2]
            anomalous = resize_mask(regions.masks[index], size)
            foreground = scores = None
            if overlays.foreground is not None:
                foreground = _foreground_levels(overlays.foreground[index], size)
            if overlays.scores is not None:
                scores = _stretched(overlays.scores(index), size)
        mask = _resize(_thinned(anomalous, box, "zero").astype(np.float32), side)
        foreground_mask = anomaly_map = None
        if foreground is not None:
            levels = _resize(_thinned(foreground, box, fill), side)
            foreground_mask = _with_surroundings(levels, mask, overlays.reach)
        if scores is not None:
            anomaly_map = _resize(_thinned(scores, box, "zero"), side)
        yield Crop(_resize(_thinned(image, box, fill), side), mask, foreground_mask, anomaly_map)


def _thinned(
    pixels: NDArray[Scalar], box: NDArray[np.float64], fill: Literal["reflect", "zero"]
) -> NDArray[Scalar]:
    """Cuts a box out; of a very large one, as around a scratch along a line scan, every second
    pixel or fewer, since the square may be far larger than the image."""
    step = max(1, int(box[2] - box[0]) // _LARGEST_CROP)
    return crop(pixels[::step, ::step], box / step, fill)


def _foreground_levels(mask: NDArray[np.bool_], size: tuple[int, int]) -> Levels:
    return resize_mask(mask, size).astype(np.float32) if mask.any() else np.ones(size, np.float32)


def _with_surroundings(foreground: Levels, mask: Levels, reach: int) -> Levels:
    """Adds the anomaly and its surroundings, because foreground masks often miss defects."""
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.maximum(foreground, np.asarray(cv2.dilate(mask, around), np.float32))


def _stretched(levels: Levels, size: tuple[int, int]) -> Levels:
    resized = cv2.resize(levels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _resize(pixels: NDArray[Scalar], side: int) -> NDArray[Scalar]:
    """Brings the short side to `side` and cuts the long side off after as many pixels."""
    scale = side / min(pixels.shape[:2])
    height, width = (max(side, round(length * scale)) for length in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method))[:side, :side]
