"""Six kinds of defects for made plates; each takes a surface and gives back the damaged one."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.plates import Surface
from anomalyncd.synthetic.shapes import (
    Point,
    blob,
    curve,
    draw,
    jagged,
    oval,
    smooth_noise,
)
from anomalyncd.synthetic.surfaces import (
    corrode,
    engrave,
    planes,
)

Defect = Callable[[Surface, Point, float, np.random.Generator], Surface]
"""Damages a surface at a point; the float is the scene's unit in px."""


def pick_spot(
    surface: Surface, kind: str, taken: list[Point], unit: float, rng: np.random.Generator
) -> Point:
    """Picks where a defect sits: a chip on the plate's rim, any other on its face.

    Args:
        surface: The plate.
        kind: Name of the defect, one of `DEFECTS`.
        taken: Spots of the defects already there, kept at a distance.
        unit: Picture px for one px of the design size.
        rng: Source of the numbers.

    Returns:
        The spot (x, y).
    """
    possible = np.abs(surface.rim) < 0.7 if kind == "chip" else _face(surface, 14 * unit)
    y, x = np.nonzero(possible)
    # many defects must stand closer, or no spot would be left
    apart = 80 * unit / max(1, len(taken))
    for other_x, other_y in taken:
        far = np.hypot(x - other_x, y - other_y) > apart
        y, x = y[far], x[far]
    index = rng.integers(x.size)
    return float(x[index]), float(y[index])


def scratch(surface: Surface, spot: Point, unit: float, rng: np.random.Generator) -> Surface:
    """One to three long thin grooves, sharp in relief and of brighter or duller metal."""
    size = surface.size
    heading = rng.uniform(0, math.pi)
    strokes = np.zeros(size, np.float32)
    for number in range(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])):
        middle = (spot[0] + number * rng.normal(0, 6) * unit, spot[1] + number * 5 * unit)
        length, bend = rng.uniform(44, 120) * unit, rng.normal(0, 0.35)
        course = curve(middle, heading + rng.normal(0, 0.06), length, bend)
        pressure = np.sin(np.linspace(0.25, math.pi - 0.1, len(course))) ** 0.5
        strokes = np.maximum(strokes, draw(course, rng.uniform(0.8, 1.6) * unit, pressure, size))
    strokes *= _face(surface, 0)
    depth = rng.uniform(0.35, 0.85) * unit
    tone = rng.uniform(0.2, 0.45) if rng.random() < 0.6 else -rng.uniform(0.2, 0.35)
    return engrave(surface, strokes, depth, tone, unit)


def dent(surface: Surface, spot: Point, unit: float, rng: np.random.Generator) -> Surface:
    """One or two shallow bowls with a raised lip; the milling marks run on through them."""
    height = surface.height
    for number in range(rng.choice([1, 2], p=[0.75, 0.25])):
        centre = (spot[0] + number * rng.normal(0, 20) * unit, spot[1] + number * 20 * unit)
        radius = rng.uniform(7, 17) * unit * (0.7 if number else 1)
        distance = oval(surface.size, centre, radius, rng.uniform(0.65, 1), rng.uniform(0, 3))
        distance += 0.05 * smooth_noise(rng, surface.size, 8 * unit)
        bowl = np.maximum(0, 1 - distance**2) ** 1.5
        lip = np.exp(-0.5 * ((distance - 1.05) / 0.16) ** 2)
        depth = rng.uniform(0.13, 0.3) * radius
        height = height - np.float32(depth) * (bowl - np.float32(0.06) * lip)
    return replace(surface, height=height)


def stain(surface: Surface, spot: Point, unit: float, rng: np.random.Generator) -> Surface:
    """A dried splash, coffee-brown or oily grey, see-through, with a darker rim and droplets."""
    size = surface.size
    radius = rng.uniform(11, 30) * unit
    inside = blob(size, spot, radius, rng)
    for _ in range(rng.integers(0, 4)):
        angle, away = rng.uniform(0, 2 * math.pi), radius * rng.uniform(1.3, 1.9)
        droplet = (spot[0] + away * math.cos(angle), spot[1] + away * math.sin(angle))
        inside = np.maximum(inside, blob(size, droplet, radius * rng.uniform(0.08, 0.2), rng))
    rim = np.clip(4 * inside * (1 - cv2.GaussianBlur(inside, (0, 0), 1.5 * unit)), 0, 1)
    density = inside * (0.55 + 0.12 * smooth_noise(rng, size, 9 * unit)) + 0.55 * rim * inside
    density = np.clip(density, 0, 1.3) * _face(surface, 0)
    absorbed = planes([0.13, 0.28, 0.46] if rng.random() < 0.6 else [0.36, 0.34, 0.30])
    darker = np.exp(-density * absorbed * np.float32(rng.uniform(0.5, 1.1)))
    return replace(
        surface, colour=surface.colour * darker, gloss=surface.gloss * (1 - 0.5 * density)
    )


def rust(surface: Surface, spot: Point, unit: float, rng: np.random.Generator) -> Surface:
    """A cluster of red-brown grains, dense in the middle, thinning out, dull and rough."""
    return corrode(surface, _face(surface, 0), spot, rng.uniform(8, 24) * unit, unit, rng)


def crack(surface: Surface, spot: Point, unit: float, rng: np.random.Generator) -> Surface:
    """A dark jagged line that forks, as narrow as the picture can show."""
    lines = np.zeros(surface.size, np.float32)
    heading, length = rng.uniform(0, 2 * math.pi), rng.uniform(42, 105) * unit
    trunk = jagged(spot, heading, length, 4 * unit, rng)
    courses = [trunk]
    for fork in trunk[2:-1]:
        if rng.random() < 0.16:
            aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
            courses.append(jagged(fork, aside, length * rng.uniform(0.2, 0.45), 4 * unit, rng))
    for course in courses:
        opening = rng.uniform(0.65, 1.15) * unit * (1 if course is trunk else 0.7)
        taper = np.linspace(1, 0.35, len(course))
        lines = np.maximum(lines, draw(course, opening, taper, surface.size))
    lines *= _face(surface, 0)
    darkness = np.float32(rng.uniform(0.5, 0.85))
    return replace(
        surface,
        height=surface.height - np.float32(0.25 * unit) * lines,
        colour=surface.colour * (1 - darkness * lines),
        gloss=surface.gloss * (1 - lines),
    )


def chip(surface: Surface, spot: Point, unit: float, rng: np.random.Generator) -> Surface:
    """Metal broken out of the rim, with a rough slope of fresh metal behind the gap."""
    size = surface.size
    radius = rng.uniform(9, 22) * unit
    broken = oval(size, spot, radius, rng.uniform(0.45, 0.75), rng.uniform(0, 3))
    broken += 0.10 * smooth_noise(rng, size, 4 * unit) + 0.12 * smooth_noise(rng, size, 9 * unit)
    gap = np.float32(radius) * (np.float32(rng.uniform(0.35, 0.7)) - broken)
    slope = np.clip((1 - broken) / 0.45, 0, 1).astype(np.float32)
    facets = smooth_noise(rng, size, 2.5 * unit) + smooth_noise(rng, size, 6 * unit)
    relief = surface.height * (1 - slope) + slope * unit * (0.4 * facets - 0.08 * radius)
    fresh = 1 + np.float32(rng.uniform(-0.25, 0.2)) * slope
    return replace(
        surface,
        rim=np.maximum(surface.rim, gap),
        height=relief,
        colour=surface.colour * fresh,
        gloss=surface.gloss * (1 - slope),
    )


def _face(surface: Surface, margin: float) -> npt.NDArray[np.bool_]:
    """The pixels of metal at least `margin` px from rim and holes."""
    return np.maximum(surface.rim, -surface.holes) < -margin


DEFECTS: dict[str, Defect] = {
    "chip": chip,
    "crack": crack,
    "dent": dent,
    "rust": rust,
    "scratch": scratch,
    "stain": stain,
}
