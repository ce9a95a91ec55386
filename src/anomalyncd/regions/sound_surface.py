"""The highest score that a sound surface shows, seen on parts that may all be defective.

Our own; docs/decisions/score-range.md.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_ELEMENT = 0.5
_MARGIN = 0.2


def sound_peak(anomaly_map: NDArray[Any]) -> float | None:
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
