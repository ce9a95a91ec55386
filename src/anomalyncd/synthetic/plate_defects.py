"""Six kinds of defects of synthetic plates; each takes a plate and returns the damaged one."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from anomalyncd.synthetic.plates import Plate
from anomalyncd.synthetic.shapes import (
    Point,
    blob,
    curve,
    draw,
    free_spot,
    jagged,
    oval,
    smooth_noise,
)
from anomalyncd.synthetic.surfaces import corrode, engrave, planes

PlateDefect = Callable[[Plate, Point, np.random.Generator], Plate]
"""Damages a plate at a point."""


def pick_spot(plate: Plate, kind: str, taken: list[Point], rng: np.random.Generator) -> Point:
    """Picks a spot away from those that are taken: on the rim for a chip, else on the face."""
    unit = plate.unit
    possible = np.abs(plate.rim) < 0.7 if kind == "chip" else plate.face(14 * unit)
    # Many defects must be closer to each other, or no spot would be free.
    return free_spot(possible, taken, 80 * unit / max(1, len(taken)), rng)


def scratch(plate: Plate, spot: Point, rng: np.random.Generator) -> Plate:
    """One to three long thin grooves, sharp in relief and of brighter or duller metal."""
    size, unit = plate.size, plate.unit
    heading = rng.uniform(0, math.pi)
    strokes = np.zeros(size, np.float32)
    for number in range(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])):
        middle = (spot[0] + number * rng.normal(0, 6) * unit, spot[1] + number * 5 * unit)
        length, bend = rng.uniform(44, 120) * unit, rng.normal(0, 0.35)
        course = curve(middle, heading + rng.normal(0, 0.06), length, bend)
        pressure = np.sin(np.linspace(0.25, math.pi - 0.1, len(course))) ** 0.5
        strokes = np.maximum(strokes, draw(course, rng.uniform(0.8, 1.6) * unit, pressure, size))
    strokes *= plate.metal
    depth = rng.uniform(0.35, 0.85) * unit
    tone = rng.uniform(0.2, 0.45) if rng.random() < 0.6 else -rng.uniform(0.2, 0.35)
    return engrave(plate, strokes, depth, tone, unit)


def dent(plate: Plate, spot: Point, rng: np.random.Generator) -> Plate:
    """One or two shallow bowls with a raised lip; the milling marks run on through them."""
    height, unit = plate.height, plate.unit
    for number in range(rng.choice([1, 2], p=[0.75, 0.25])):
        centre = (spot[0] + number * rng.normal(0, 20) * unit, spot[1] + number * 20 * unit)
        radius = rng.uniform(7, 17) * unit * (0.7 if number else 1)
        distance = oval(plate.size, centre, radius, rng.uniform(0.65, 1), rng.uniform(0, 3))
        distance += 0.05 * smooth_noise(rng, plate.size, 8 * unit)
        bowl = np.maximum(0, 1 - distance**2) ** 1.5
        lip = np.exp(-0.5 * ((distance - 1.05) / 0.16) ** 2)
        depth = rng.uniform(0.13, 0.3) * radius
        height = height - np.float32(depth) * (bowl - np.float32(0.06) * lip)
    return replace(plate, height=height)


def stain(plate: Plate, spot: Point, rng: np.random.Generator) -> Plate:
    """A dried splash, coffee-brown or oily grey, transparent, with a darker rim and droplets."""
    size, unit = plate.size, plate.unit
    radius = rng.uniform(11, 30) * unit
    inside = blob(size, spot, radius, rng)
    for _ in range(rng.integers(0, 4)):
        angle, away = rng.uniform(0, 2 * math.pi), radius * rng.uniform(1.3, 1.9)
        droplet = (spot[0] + away * math.cos(angle), spot[1] + away * math.sin(angle))
        inside = np.maximum(inside, blob(size, droplet, radius * rng.uniform(0.08, 0.2), rng))
    rim = np.clip(4 * inside * (1 - cv2.GaussianBlur(inside, (0, 0), 1.5 * unit)), 0, 1)
    density = inside * (0.55 + 0.12 * smooth_noise(rng, size, 9 * unit)) + 0.55 * rim * inside
    density = np.clip(density, 0, 1.3) * plate.metal
    absorbed = planes([0.13, 0.28, 0.46] if rng.random() < 0.6 else [0.36, 0.34, 0.30])
    darker = np.exp(-density * absorbed * np.float32(rng.uniform(0.5, 1.1)))
    return replace(plate, colour=plate.colour * darker, gloss=plate.gloss * (1 - 0.5 * density))


def rust(plate: Plate, spot: Point, rng: np.random.Generator) -> Plate:
    """A cluster of red-brown grains, dense in the middle, thinning out, dull and rough."""
    return corrode(plate, spot, rng.uniform(8, 24) * plate.unit, plate.unit, rng)


def crack(plate: Plate, spot: Point, rng: np.random.Generator) -> Plate:
    """A dark jagged line that forks, as narrow as the picture can show."""
    lines, unit = np.zeros(plate.size, np.float32), plate.unit
    heading, length = rng.uniform(0, 2 * math.pi), rng.uniform(42, 105) * unit
    longest = jagged(spot, heading, length, 4 * unit, rng)
    courses = [longest]
    for fork in longest[2:-1]:
        if rng.random() < 0.16:
            aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
            courses.append(jagged(fork, aside, length * rng.uniform(0.2, 0.45), 4 * unit, rng))
    for course in courses:
        opening = rng.uniform(0.65, 1.15) * unit * (1 if course is longest else 0.7)
        taper = np.linspace(1, 0.35, len(course))
        lines = np.maximum(lines, draw(course, opening, taper, plate.size))
    lines *= plate.metal
    darkness = np.float32(rng.uniform(0.5, 0.85))
    return replace(
        plate,
        height=plate.height - np.float32(0.25 * unit) * lines,
        colour=plate.colour * (1 - darkness * lines),
        gloss=plate.gloss * (1 - lines),
    )


def chip(plate: Plate, spot: Point, rng: np.random.Generator) -> Plate:
    """Metal broken out of the rim, with a rough slope of fresh metal behind the gap."""
    size, unit = plate.size, plate.unit
    radius = rng.uniform(9, 22) * unit
    broken = oval(size, spot, radius, rng.uniform(0.45, 0.75), rng.uniform(0, 3))
    broken += 0.10 * smooth_noise(rng, size, 4 * unit) + 0.12 * smooth_noise(rng, size, 9 * unit)
    gap = np.float32(radius) * (np.float32(rng.uniform(0.35, 0.7)) - broken)
    slope = np.clip((1 - broken) / 0.45, 0, 1).astype(np.float32)
    facets = smooth_noise(rng, size, 2.5 * unit) + smooth_noise(rng, size, 6 * unit)
    relief = plate.height * (1 - slope) + slope * unit * (0.4 * facets - 0.08 * radius)
    fresh = 1 + np.float32(rng.uniform(-0.25, 0.2)) * slope
    return replace(
        plate,
        rim=np.maximum(plate.rim, gap),
        height=relief,
        colour=plate.colour * fresh,
        gloss=plate.gloss * (1 - slope),
    )


PLATE_DEFECTS: dict[str, PlateDefect] = {
    "chip": chip,
    "crack": crack,
    "dent": dent,
    "rust": rust,
    "scratch": scratch,
    "stain": stain,
}
