"""Regions cut out of their images, one after the other, as the encoder reads them."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.parts import Parts
from anomalyncd.regions.crops import Scalar, crop
from anomalyncd.regions.finding import Found
from anomalyncd.regions.table import resize_mask

Crop: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]


def read_crops(
    parts: Parts, found: Found, side: int, rules: Literal["paper", "default"]
) -> Iterator[Crop]:
    """Cuts every region out of its image and its mask.

    Args:
        parts: The images; each is read once, since a table lists its regions one after the other.
        found: What to cut out.
        side: Side of a crop in pixels.
        rules: `paper` fills with black and keeps the first corner of what is not square; `default`
            fills by reflection.

    Yields:
        For each region an image (side, side, 3), uint8, and its mask (side, side), float32, 0..1.
    """
    current = -1
    for index, box in zip(found.regions.image.tolist(), found.regions.box, strict=True):
        if index != current:
            current, image = index, parts.image(index)
            covered = resize_mask(found.masks[index], image.shape[:2]).astype(np.float32)
        picture = crop(image, box, "zero" if rules == "paper" else "reflect")
        yield _resize(picture, side), _resize(crop(covered, box, "zero"), side)


def _resize(pixels: NDArray[Scalar], side: int) -> NDArray[Scalar]:
    """Brings the short side to `side` and keeps the first corner of what is longer."""
    scale = side / min(pixels.shape[:2])
    height, width = (max(side, round(length * scale)) for length in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method))[:side, :side]
