"""Pictures of an elongated product that lies in any pose on a plain background."""

import cv2
import numpy as np


def hammer(angle: float, damaged: bool, seed: int) -> np.ndarray:
    """A bright hammer on dark ground, RGB, its head towards an angle; damaged, a spot on it."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(60, 3, (128, 160, 3)).astype(np.float32)
    towards = np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([80, 64]) + rng.integers(-8, 8, 2)
    end, head, spot = (tuple(np.rint(middle + one * towards).astype(int)) for one in (-34, 34, -16))
    cv2.line(pixels, [int(v) for v in end], [int(v) for v in head], (220, 220, 220), 14)
    cv2.circle(pixels, [int(v) for v in head], 15, (220, 220, 220), -1)
    if damaged:
        cv2.circle(pixels, [int(v) for v in spot], 5, (140, 140, 140), -1)
    return pixels.clip(0, 255).astype(np.uint8)
