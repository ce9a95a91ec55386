"""A picture of an image on which the outlines of its regions are drawn."""

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.line.verdict import Verdict

_COLOURS = {
    "class": (230, 60, 40),
    "unseen": (170, 60, 230),
    "unsure": (240, 170, 30),
    "normal": (60, 170, 80),
}


def draw_regions(image: NDArray[np.uint8], verdict: Verdict) -> NDArray[np.uint8]:
    """Draws the outline and the class of each region.

    Args:
        image: The image, HxWx3 with red first.
        verdict: What was found on it.

    Returns:
        A copy of the image with the drawing.
    """
    picture = np.ascontiguousarray(image).copy()
    width = max(1, round(max(picture.shape[:2]) / 400))
    for region in verdict.regions:
        colour = _COLOURS[region.decision]
        mask = region.mask.to_mask().astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, width)
        label = region.class_name if region.decision == "class" else region.decision
        place = (region.box[0], max(region.box[1] - 2 * width, 12 * width))
        ascii_label = label.encode("ascii", "replace").decode()
        cv2.putText(picture, ascii_label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * width, colour)
    return picture
