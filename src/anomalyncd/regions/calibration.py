"""Brings scores with a long upper tail to a scale on which the typical defect keeps its share.

Our own; docs/decisions/calibration.md.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from anomalyncd.io.component import Component

_BLOCKS_PER_SIDE = 4
# Noise whose block maxima follow Gumbel rises by more than 8 spreads on one map in 24.
_CLEAR_SPREADS = 8
_CLEAR_BY_CHANCE = 1 / 24
_LARGEST_RATIO = 3


@dataclass(frozen=True)
class Background:
    """What a map, or the typical one of several, shows where nothing is anomalous; map units."""

    level: float
    """Median of the maxima over a grid of 4 x 4 blocks: what half of the sixteenths of a map reach.
    It is near the maximum of a normal map, yet blind to defects that touch less than half of it."""
    spread: float
    """How far the lower quartile of these maxima lies below their median."""


@dataclass(frozen=True)
class Calibration(Component):
    """Linear up to a level, logarithmic above it; monotone, and smooth at the level."""

    level: float
    """The score that becomes 0, in map units."""
    scale: float
    """Above 0: `level + scale` becomes log 2, in map units."""

    def __call__(self, scores: NDArray[Any] | float) -> NDArray[np.float32]:
        """Scores of any shape, calibrated."""
        rise = (np.asarray(scores, np.float64) - self.level) / self.scale
        bent: NDArray[np.float64] = np.minimum(rise, np.log1p(np.maximum(rise, 0)))
        return bent.astype(np.float32)


def background(anomaly_map: NDArray[Any]) -> Background:
    """Level and spread of one map.

    Args:
        anomaly_map: (H, W); under 4 pixels a side there are fewer blocks.
    """
    blocks = np.asarray(anomaly_map)
    for axis in (0, 1):
        n_pixels = blocks.shape[axis]
        n_blocks = min(_BLOCKS_PER_SIDE, n_pixels)
        starts = np.arange(n_blocks) * n_pixels // n_blocks
        blocks = np.maximum.reduceat(blocks, starts, axis=axis)
    quartile, median = np.quantile(blocks.astype(np.float64), (0.25, 0.5))
    return Background(float(median), float(median - quartile))


def typical_background(backgrounds: list[Background]) -> Background:
    """The medians of the levels and of the spreads of several maps."""
    levels = [one.level for one in backgrounds]
    return Background(
        float(np.median(levels)), float(np.median([one.spread for one in backgrounds]))
    )


def calibrate(maxima: list[float], typical: Background) -> Calibration | None:
    """Finds how far the upper tail of all maps must be bent.

    A map is clear of the background if its maximum lies more than 8 spreads above the level. Some
    are so by chance, one in 24 and at least one; they count in with just that much. The lower
    median of all these is the typical defect, so that a few odd maps are never typical. It has to
    reach a third of the height of the largest maximum.

    Args:
        maxima: Of each map.
        typical: The background of all maps, or of those of normal images.

    Returns:
        The calibration under which it reaches exactly that; None where it does so anyway.
    """
    rises = np.array(maxima, np.float64) - typical.level
    least = _CLEAR_SPREADS * typical.spread
    by_chance = np.full(math.ceil(_CLEAR_BY_CHANCE * len(rises)), least)
    clear = np.concatenate([by_chance, rises[rises > least]])
    usual = float(np.quantile(clear, 0.5, method="lower"))
    if usual <= 0:
        return None
    ratio = float(rises.max()) / usual
    # Within a hair of the largest ratio nothing is bent that anyone could see.
    if ratio <= 1.001 * _LARGEST_RATIO:
        return None

    def excess(inverse: float) -> float:
        return float(np.log1p(ratio * inverse) - _LARGEST_RATIO * np.log1p(inverse))

    # By log(1 + x) between x - x^2 / 2 and x: above 0 on the left, below 0 on the right.
    inverse = brentq(excess, (ratio - _LARGEST_RATIO) / ratio**2, ratio)
    return Calibration(typical.level, usual / inverse)


_ELEMENT = 0.5
_MARGIN = 0.2


def background_peak(anomaly_map: NDArray[Any]) -> float | None:
    """The highest score of a map away from its main element.

    The main element is the 8-connected piece around the maximum that rises above half the way from
    the median to the maximum. Whatever lies within a fifth of the map's side of it, the side of a
    square of its area, is left out as well, since defects have surroundings.

    Args:
        anomaly_map: (H, W), any real type.

    Returns:
        The score; None where nothing is left of the map.
    """
    scores = np.asarray(anomaly_map, np.float32)
    median, highest = float(np.median(scores)), float(scores.max())
    high = (scores > median + _ELEMENT * (highest - median)).astype(np.uint8)
    if not high.any():
        return highest
    pieces = cv2.connectedComponents(high, connectivity=8)[1]
    element = pieces == pieces[np.unravel_index(scores.argmax(), scores.shape)]
    distance = cv2.distanceTransform((~element).astype(np.uint8), cv2.DIST_L2, 5)
    away = scores[distance > _MARGIN * scores.size**0.5]
    return float(away.max()) if away.size else None
