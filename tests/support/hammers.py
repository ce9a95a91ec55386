"""Images of an elongated product in any orientation on a plain background."""

import cv2
import numpy as np

from anomalyncd.images.image_set import ImageSet


def hammer(angle: float, damaged: bool, seed: int) -> np.ndarray:
    """A bright hammer on a dark background, RGB, with its head towards an angle.

    A damaged one has a spot on its handle.
    """
    rng = np.random.default_rng(seed)
    pixels = rng.normal(60, 3, (128, 160, 3)).astype(np.float32)
    towards = np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([80, 64]) + rng.integers(-8, 8, 2)
    end, head, spot = (
        np.rint(middle + distance * towards).astype(int).tolist() for distance in (-34, 34, -16)
    )
    cv2.line(pixels, end, head, (220, 220, 220), 14)
    cv2.circle(pixels, head, 15, (220, 220, 220), -1)
    if damaged:
        cv2.circle(pixels, spot, 5, (140, 140, 140), -1)
    return pixels.clip(0, 255).astype(np.uint8)


HAMMERS = ImageSet.from_list([hammer(2 * np.pi * i / 12, i % 4 == 0, i) for i in range(12)])
"""Twelve hammers in all orientations, every fourth of them damaged."""
