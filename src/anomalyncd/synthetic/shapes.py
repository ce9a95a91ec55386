"""Shapes of which synthetic products consist: curves, jagged lines, ovals, blobs, smooth noise."""

import math

import cv2
import numpy as np
import numpy.typing as npt

_OVERSAMPLING = 3
_SUBPIXEL_BITS = 4

Field = npt.NDArray[np.float32]
"""One number for each pixel, H x W float32."""
Point = tuple[float, float]
"""Position (x, y) in px, measured from the centre of the first pixel."""
Course = npt.NDArray[np.float64]
"""Points of a line in their order, N x 2 (x, y) in px."""


def curve(middle: Point, heading: float, length: float, bend: float) -> Course:
    """Returns an arc, as points about 2 px apart.

    Args:
        middle: Its middle.
        heading: Direction at the middle, in radians.
        length: Length in px.
        bend: Angle in radians by which the direction turns over the whole length.
    """
    n_points = max(8, round(length / 2))
    headings = heading + bend * np.linspace(-0.5, 0.5, n_points)
    steps = np.column_stack([np.cos(headings), np.sin(headings)]) * length / n_points
    course = np.cumsum(steps, axis=0)
    placed: Course = course - course[n_points // 2] + np.array(middle)
    return placed


def jagged(
    start: Point, heading: float, length: float, step: float, rng: np.random.Generator
) -> Course:
    """Returns the corners of a line that changes its direction at every step.

    Args:
        start: Its first point.
        heading: Mean direction in radians.
        length: Length in px.
        step: Mean distance between corners in px.
        rng: Source of the random numbers.
    """
    n_steps = max(4, round(length / step))
    drift = np.cumsum(rng.normal(0, 0.18, n_steps))
    headings = heading + drift + rng.normal(0, 0.5, n_steps)
    lengths = step * rng.uniform(0.5, 1.5, n_steps)
    steps = np.column_stack([np.cos(headings), np.sin(headings)]) * lengths[:, None]
    course: Course = np.vstack([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + np.array(start)
    return course


def draw(course: Course, width: float, strength: Course, size: tuple[int, int]) -> Field:
    """Draws a line of varying strength, with smooth edges even below one pixel's width.

    Args:
        course: Its points.
        width: Width in px.
        strength: One number from 0 to 1 for each point.
        size: Height and width of the image in px.

    Returns:
        The share of each pixel that the line fills, times its strength, 0 to 1.
    """
    fine = np.zeros((size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING), np.uint8)
    thickness = max(1, round(width * _OVERSAMPLING))
    scaled = ((course + 0.5) * _OVERSAMPLING - 0.5) * 2**_SUBPIXEL_BITS
    points = np.rint(scaled).astype(int).tolist()
    # The weakest piece comes first: where neighbouring pieces overlap, the stronger one remains.
    for index in np.argsort(strength[1:], kind="stable"):
        value = float(strength[index + 1]) * 255
        ends = points[index], points[index + 1]
        cv2.line(fine, *ends, value, thickness, cv2.LINE_8, _SUBPIXEL_BITS)
    drawn = cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA)
    filled: Field = drawn.astype(np.float32) / np.float32(255)
    return filled


def oval(
    size: tuple[int, int], centre: Point, radius: float, flatness: float, angle: float
) -> Field:
    """Measures how far each pixel is from an oval's centre: 0 in the centre, 1 on the oval.

    Args:
        size: Height and width of the image in px.
        centre: The oval's centre.
        radius: Its longer half axis in px.
        flatness: Its shorter half axis divided by the longer one.
        angle: Direction of the longer axis in radians.
    """
    y = np.arange(size[0], dtype=np.float32)[:, None] - centre[1]
    x = np.arange(size[1], dtype=np.float32)[None] - centre[0]
    cosine, sine = math.cos(angle) / radius, math.sin(angle) / radius
    distance: Field = np.hypot(cosine * x + sine * y, (cosine * y - sine * x) / flatness)
    return distance


def blob(size: tuple[int, int], centre: Point, radius: float, rng: np.random.Generator) -> Field:
    """Fills an irregular outline of a mean radius in px: 1 inside, 0 outside, smooth between."""
    around = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    reach = np.ones(96)
    for wave in range(2, 9):
        amplitude = rng.normal(0, 0.5 / wave**1.6)
        reach += amplitude * np.cos(wave * around + rng.uniform(0, 2 * math.pi))
    reach = radius * np.clip(reach, 0.3, 1.8)
    outline = np.array(centre) + reach[:, None] * np.column_stack([np.cos(around), np.sin(around)])
    points = np.rint(outline * 2**_SUBPIXEL_BITS).astype(np.int32)
    filled = np.zeros(size, np.uint8)
    cv2.fillPoly(filled, [points], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    patch: Field = filled.astype(np.float32) / np.float32(255)
    return patch


def rounded_rectangle(x: Field, y: Field, half: tuple[float, float], radius: float) -> Field:
    """Signed distance to a rectangle with round corners, negative inside."""
    beyond_x, beyond_y = np.abs(x) - (half[0] - radius), np.abs(y) - (half[1] - radius)
    outside = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
    inside = np.minimum(np.maximum(beyond_x, beyond_y), 0)
    distance: Field = (outside + inside - radius).astype(np.float32)
    return distance


def free_spot(
    possible: npt.NDArray[np.bool_], taken: list[Point], distance: float, rng: np.random.Generator
) -> Point:
    """Picks one of the possible pixels, H x W, more than a distance in px from those taken."""
    y, x = np.nonzero(possible)
    for other_x, other_y in taken:
        far = np.hypot(x - other_x, y - other_y) > distance
        y, x = y[far], x[far]
    index = rng.integers(x.size)
    return float(x[index]), float(y[index])


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], scale: float) -> Field:
    """Draws noise of about unit variance that changes over a distance of `scale` px, H x W."""
    coarse = (int(np.ceil(size[0] / scale)) + 3, int(np.ceil(size[1] / scale)) + 3)
    grid = rng.standard_normal(coarse, dtype=np.float32)
    noise: Field = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return noise * np.float32(1.3)
