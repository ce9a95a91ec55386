"""The background of anomaly maps, and the calibration of scores with a long upper tail.

Our own; docs/decisions/calibration.md and docs/decisions/score-range.md.
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
_ELEMENT_HEIGHT = 0.5
_MARGIN = 0.2


@dataclass(frozen=True)
class Background:
    """Scores that a map, or the typical one of several, shows where nothing is anomalous."""

    level: float
    """Median of the maxima of a grid of 4 x 4 blocks, in map units. It is near the maximum of a
    normal map, and defects that touch less than half of the blocks do not raise it."""
    spread: float
    """Median minus lower quartile of these maxima, in map units."""


@dataclass(frozen=True)
class Calibration(Component):
    """A scale that is linear up to a level and logarithmic above it; monotone and smooth."""

    level: float
    """The score that becomes 0, in map units."""
    scale: float
    """Above 0, in map units: the score `level + scale` becomes log 2."""

    def __call__(self, scores: NDArray[Any] | float) -> NDArray[np.float32]:
        """Calibrates scores of any shape."""
        rise = (np.asarray(scores, np.float64) - self.level) / self.scale
        bent: NDArray[np.float64] = np.minimum(rise, np.log1p(np.maximum(rise, 0)))
        # Far below the level, in units of a small scale, a score may leave the range of 32 bits.
        lowest = float(np.finfo(np.float32).min)
        return np.maximum(bent, lowest).astype(np.float32)


def background(anomaly_map: NDArray[Any]) -> Background:
    """Measures level and spread of one map.

    Args:
        anomaly_map: (H, W); with fewer than 4 pixels on a side there are fewer blocks.
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
    """Returns the medians of the levels and of the spreads of several maps."""
    levels = [each.level for each in backgrounds]
    spreads = [each.spread for each in backgrounds]
    return Background(float(np.median(levels)), float(np.median(spreads)))


def calibrate(maxima: list[float], typical: Background) -> Calibration | None:
    """Fits the calibration under which the typical defect reaches a third of the largest maximum.

    A map is clear of the background if its maximum lies more than 8 spreads above the level. One
    map in 24, and at least one, is clear by chance; these count as maps that rise by exactly 8
    spreads. The lower median of all clear rises is that of the typical defect, so that a few
    unusual maps are never typical.

    Args:
        maxima: Highest score of each map.
        typical: The background of all maps, or of those of normal images.

    Returns:
        The calibration; None where the typical defect reaches a third without one.
    """
    rises = np.array(maxima, np.float64) - typical.level
    least_rise = _CLEAR_SPREADS * typical.spread
    by_chance = np.full(math.ceil(_CLEAR_BY_CHANCE * len(rises)), least_rise)
    clear = np.concatenate([by_chance, rises[rises > least_rise]])
    typical_rise = float(np.quantile(clear, 0.5, method="lower"))
    if typical_rise <= 0:
        return None
    ratio = float(rises.max()) / typical_rise
    # This close to the largest ratio a calibration would change nothing visible.
    if ratio <= 1.001 * _LARGEST_RATIO:
        return None

    def excess(inverse: float) -> float:
        return float(np.log1p(ratio * inverse) - _LARGEST_RATIO * np.log1p(inverse))

    # log(1 + x) lies between x - x^2 / 2 and x, so the excess changes its sign in this interval.
    inverse = brentq(excess, (ratio - _LARGEST_RATIO) / ratio**2, ratio)
    return Calibration(typical.level, typical_rise / inverse)


def background_peak(anomaly_map: NDArray[Any]) -> float | None:
    """Returns the highest score of a map outside its main element and the surroundings of it.

    The main element is the 8-connected component around the maximum that rises above half the way
    from the median to the maximum. Its surroundings reach a fifth of the side of a square with as
    many pixels as the map.

    Args:
        anomaly_map: (H, W), any real type.

    Returns:
        The score; None where nothing of the map is left.
    """
    scores = np.asarray(anomaly_map, np.float32)
    median, highest = float(np.median(scores)), float(scores.max())
    high = (scores > median + _ELEMENT_HEIGHT * (highest - median)).astype(np.uint8)
    if not high.any():
        return highest
    components = cv2.connectedComponents(high, connectivity=8)[1]
    element = components == components[np.unravel_index(scores.argmax(), scores.shape)]
    distance = cv2.distanceTransform((~element).astype(np.uint8), cv2.DIST_L2, 5)
    outside = scores[distance > _MARGIN * scores.size**0.5]
    return float(outside.max()) if outside.size else None
