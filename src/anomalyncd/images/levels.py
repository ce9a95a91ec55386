"""Levels: which values of images of more than 8 bits are black and white, the same for a set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.images.level_values import HIGHEST
from anomalyncd.io.component import Component
from anomalyncd.io.depth_tags import NOT_STATED, StatedLevels

_WHITES = (1023, 4095, 16383, HIGHEST)  # Cameras have 10, 12, 14 or 16 bits.


@dataclass(frozen=True)
class Levels(Component):
    """The values that become 0 and 255 in all images of more than 8 bits of a set."""

    black: int
    """This value and all below it are black."""
    white: int
    """This value and all above it are white."""

    def to_8_bits(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Scales whole numbers between black and white to 0..255; the shape stays the same."""
        span = self.white - self.black
        above = np.clip(pixels, self.black, self.white).astype(np.uint32) - np.uint32(self.black)
        return np.asarray((above * 255 + span // 2) // span, dtype=np.uint8)


@dataclass(frozen=True)
class Depth:
    """What one image of more than 8 bits says about the levels of its set."""

    highest: int
    """Its highest value."""
    brightest: int
    """Its highest value without hot pixels."""
    stated: StatedLevels = NOT_STATED
    """What its file states."""


def depth_of(pixels: NDArray[np.uint16], stated: StatedLevels = NOT_STATED) -> Depth:
    """Measures an image of more than 8 bits.

    A median over 3 x 3 pixels removes hot pixels, also columns of them in a line scan, but no spot
    of some pixels, however small a share of the image it is. No quantile does both: a defect of
    12 x 40 px is 0.001 % of a line scan.

    Args:
        pixels: (H, W, 1, 3 or 4), uint16; a fourth channel is transparency and does not count.
        stated: What the file states.
    """
    colours = np.ascontiguousarray(pixels[..., :3])
    return Depth(int(colours.max()), int(cv2.medianBlur(colours, 3).max()), stated)


def learn_levels(depths: Sequence[Depth]) -> tuple[Levels, str]:
    """Finds the levels of a set from the tags of its files, or else from its brightest place.

    Args:
        depths: One for each image of more than 8 bits, at least one.

    Returns:
        The levels, and where they come from.
    """
    brightest = max(depth.brightest for depth in depths)
    statements = {depth.stated for depth in depths}
    black, white = statements.pop() if len(statements) == 1 else NOT_STATED
    black = black or 0
    if white is not None and black < white <= HIGHEST and brightest <= white:
        return Levels(black, white), "stated by the files"
    if max(depth.highest for depth in depths) <= 255:
        return Levels(0, 255), "no value is above it"
    white = next(white for white in _WHITES if brightest <= white)
    return Levels(black if black < white else 0, white), (
        f"the highest value of {white.bit_length()} bits; the brightest place has {brightest}, hot "
        "pixels left out"
    )
