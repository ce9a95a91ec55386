"""Regions cut out of their images, one after the other, as the encoder reads them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts
from anomalyncd.regions.crops import Scalar, crop
from anomalyncd.regions.finding import Found
from anomalyncd.regions.table import resize_mask

Levels = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Crop:
    """A region cut out, (L, L) each."""

    image: NDArray[np.uint8]
    """(L, L, 3), RGB."""
    mask: Levels
    """How much of a pixel is anomalous, 0..1."""
    object_mask: Levels | None = None
    """How much of it is product, 0..1, the anomaly and its surroundings included; None where all
    of it is."""
    anomaly_map: Levels | None = None
    """How anomalous it is, 0..1; None where the mask is all that is known or wanted."""


def read_crops(
    parts: Parts,
    found: Found,
    side: int,
    rules: Literal["paper", "default"],
    objects: Masks | None = None,
    reach: int = 0,
    scores: Callable[[int], Levels] | None = None,
) -> Iterator[Crop]:
    """Cuts every region out of its image and all that lies over it, in the same way.

    Args:
        parts: The images; each is read once, since a table lists its regions one after the other.
        found: What to cut out.
        side: Side L of a crop in pixels.
        rules: `paper` fills with black and keeps the first corner of what is not square; `default`
            fills by reflection.
        objects: Where the product is on each part; an empty mask, like None, takes everything for
            product.
        reach: Pixels of the crop around the anomaly that count as product whatever `objects` say.
        scores: Says how anomalous each place of a part is, (h, w), 0..1, by its index.

    Yields:
        The crop of each region.
    """
    fill: Literal["zero", "reflect"] = "zero" if rules == "paper" else "reflect"
    current = -1
    for index, box in zip(found.regions.image.tolist(), found.regions.box, strict=True):
        if index != current:
            current, image = index, parts.image(index)
            size = image.shape[:2]
            covered = resize_mask(found.masks[index], size).astype(np.float32)
            product = None if objects is None else _product(objects[index], size)
            led = None if scores is None else _stretched(scores(index), size)
        mask = _resize(crop(covered, box, "zero"), side)
        object_mask = None
        if product is not None:
            object_mask = _guarded(_resize(crop(product, box, fill), side), mask, reach)
        anomaly_map = None if led is None else _resize(crop(led, box, "zero"), side)
        yield Crop(_resize(crop(image, box, fill), side), mask, object_mask, anomaly_map)


def _product(mask: NDArray[np.bool_], size: tuple[int, int]) -> Levels:
    return resize_mask(mask, size).astype(np.float32) if mask.any() else np.ones(size, np.float32)


def _guarded(product: Levels, mask: Levels, reach: int) -> Levels:
    """The anomaly is product, and so is what lies around it: object masks often miss defects."""
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.maximum(product, np.asarray(cv2.dilate(mask, around), np.float32))


def _stretched(levels: Levels, size: tuple[int, int]) -> Levels:
    resized = cv2.resize(levels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _resize(pixels: NDArray[Scalar], side: int) -> NDArray[Scalar]:
    """Brings the short side to `side` and keeps the first corner of what is longer."""
    scale = side / min(pixels.shape[:2])
    height, width = (max(side, round(length * scale)) for length in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method))[:side, :side]
