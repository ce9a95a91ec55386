"""Anomaly maps as detectors make them: smooth noise with blobs where the defects are."""

import cv2
import numpy as np
from scipy import ndimage


def noise_map(rng: np.random.Generator, level: float, spread: float, size: int) -> np.ndarray:
    """Smooth noise, (size, size), with a mean near `level` and a standard deviation of `spread`."""
    noise = ndimage.gaussian_filter(rng.standard_normal((size, size)), 3)
    return level + spread * noise / noise.std()


def blob(size: int, row: float, column: float, radius: float) -> np.ndarray:
    """A Gaussian of height 1, (size, size)."""
    y, x = np.mgrid[:size, :size]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * radius**2))


def plateau_map(peak: float, level: float = 0.3, size: int = 16) -> np.ndarray:
    """A flat map, (size, size), with one higher pixel in the middle of a block."""
    scores = np.full((size, size), level)
    scores[size // 8, size // 8] = peak
    return scores


SIDE, N_IMAGES, N_GOOD = 160, 20, 8


def batch_of_maps() -> list[np.ndarray]:
    """Maps of N_GOOD good images, which reach 0.1 to 0.2, then of defective ones up to 0.4 to 1."""
    rng = np.random.default_rng(0)
    maps = [
        cv2.GaussianBlur(rng.random((SIDE, SIDE), np.float32), (0, 0), 4) for _ in range(N_IMAGES)
    ]
    tops = rng.uniform(0.1, 0.2, N_IMAGES)
    maps = [
        top * (noise - noise.min()) / np.ptp(noise) for top, noise in zip(tops, maps, strict=True)
    ]
    for index, height in enumerate(np.linspace(0.4, 1, N_IMAGES - N_GOOD)):
        top, left = rng.integers(10, SIDE - 50, 2)
        maps[N_GOOD + index][top : top + 30, left : left + 30] = height
    return maps
