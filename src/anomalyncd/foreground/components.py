"""The connected components that count as foreground."""

import cv2
import numpy as np
from numpy.typing import NDArray

_SPECK = 0.1
"""Connected components smaller than this share of the largest one are left out."""


def largest_components(mask: NDArray[np.bool_], max_components: int) -> NDArray[np.bool_]:
    """Returns the largest connected components of a mask, their holes filled.

    Args:
        mask: (rows, columns), bool.
        max_components: Largest number of connected components. Those with less than a tenth of the
            area of the largest one are left out.

    Returns:
        (rows, columns), bool.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    if count == 1:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-areas, kind="stable")[:max_components]
    components = np.isin(labels, 1 + largest[areas[largest] >= _SPECK * areas.max()])
    outside = cv2.connectedComponents(
        np.pad(~components, 1, constant_values=True).astype(np.uint8), connectivity=4
    )[1]
    filled: NDArray[np.bool_] = (outside != outside[0, 0])[1:-1, 1:-1]
    return filled
