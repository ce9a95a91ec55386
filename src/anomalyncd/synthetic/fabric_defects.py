"""Four kinds of defects of synthetic fabric; each takes a cloth and returns the damaged one."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.fabric import PITCH, Cloth
from anomalyncd.synthetic.shapes import Field, Point, curve, draw, free_spot, oval, smooth_noise
from anomalyncd.synthetic.surfaces import planes

FabricDefect = Callable[[Cloth, list[Point], np.random.Generator], Cloth]
"""Damages a cloth; the list holds the points that are taken, and grows."""


def broken_thread(cloth: Cloth, taken: list[Point], rng: np.random.Generator) -> Cloth:
    """A thread torn for a length: the ground shows, and a frayed end may stand out."""
    (x, y), chosen, heading = _pick_thread(cloth, taken, rng)
    threads, there = cloth.threads[chosen], (round(y), round(x))
    half = rng.uniform(2.6, 7)
    away = half - np.abs(threads.along - threads.along[there])
    fray = 0.5 * smooth_noise(rng, cloth.lying.shape, 0.3 * PITCH * cloth.unit)
    gone = np.clip(1.2 * away + fray, 0, 1) * (threads.number == threads.number[there])
    left = 0.0 if rng.random() < 0.7 else rng.uniform(0.12, 0.25)  # a few fibres may hold
    torn = replace(threads, thickness=threads.thickness * (1 - np.float32(1 - left) * gone))
    lying = cloth.lying
    if rng.random() < 0.6:
        end = half * PITCH * cloth.unit * rng.choice([-1, 1])
        middle = (x + end * math.cos(heading), y + end * math.sin(heading))
        length = rng.uniform(6, 13) * cloth.unit
        lying = _strand(cloth, middle, heading + rng.normal(0, 0.5), length, rng)
    warp, weft = cloth.threads
    return replace(cloth, lying=lying, threads=(warp, torn) if chosen else (torn, weft))


def knot(cloth: Cloth, taken: list[Point], rng: np.random.Generator) -> Cloth:
    """A lump of yarn on a thread, which casts a little shadow."""
    spot, _, heading = _pick_thread(cloth, taken, rng)
    radius, size = rng.uniform(5, 12) * cloth.unit, cloth.lying.shape
    flatness, angle = min(1, 4.6 * cloth.unit / radius), heading + rng.normal(0, 0.15)
    distance = oval(size, spot, radius, flatness, angle)
    distance += 0.12 * smooth_noise(rng, size, 1.8 * cloth.unit)
    lump = np.sqrt(np.maximum(0, 1 - distance**2))
    wound = 1 + 0.16 * smooth_noise(rng, size, 1.4 * cloth.unit)
    thick = (rng.uniform(2.4, 3.6) * cloth.unit * lump * wound).astype(np.float32)
    return replace(cloth, lying=np.maximum(cloth.lying, thick))


def loose_thread(cloth: Cloth, taken: list[Point], rng: np.random.Generator) -> Cloth:
    """A thin stray thread that lies on the cloth in a curve."""
    spot = _pick(cloth, np.ones(cloth.lying.shape, bool), taken, rng)
    length = rng.uniform(26, 70) * cloth.unit
    return replace(cloth, lying=_strand(cloth, spot, rng.uniform(0, math.pi), length, rng))


def stain(cloth: Cloth, taken: list[Point], rng: np.random.Generator) -> Cloth:
    """A soft-edged discolouration, tea-brown or greyish, through which the weave shows."""
    size, unit = cloth.lying.shape, cloth.unit
    spot = _pick(cloth, np.ones(size, bool), taken, rng)
    radius = rng.uniform(14, 36) * unit
    distance = oval(size, spot, radius, rng.uniform(0.55, 1), rng.uniform(0, 3))
    distance += 0.16 * smooth_noise(rng, size, 0.6 * radius) + 0.05 * smooth_noise(
        rng, size, 4 * unit
    )
    soaked = np.clip(1.6 * (1.1 - distance), 0, 1) * (0.75 + 0.25 * np.clip(distance, 0, 1))
    soaked = cv2.GaussianBlur(soaked.astype(np.float32), (0, 0), 1.5 * unit)
    absorbed = planes([0.14, 0.25, 0.40] if rng.random() < 0.6 else [0.30, 0.28, 0.25])
    return replace(
        cloth, dye=cloth.dye * np.exp(-np.float32(rng.uniform(0.9, 1.7)) * absorbed * soaked)
    )


def _pick_thread(
    cloth: Cloth, taken: list[Point], rng: np.random.Generator
) -> tuple[Point, int, float]:
    """Picks a spot on a thread: the point, 0 for warp or 1 for weft, and the thread's direction."""
    chosen = int(rng.integers(2))
    spot = _pick(cloth, np.abs(cloth.threads[chosen].offset) < 0.15, taken, rng)
    return spot, chosen, cloth.turn + (0 if chosen else math.pi / 2)


def _pick(
    cloth: Cloth, possible: npt.NDArray[np.bool_], taken: list[Point], rng: np.random.Generator
) -> Point:
    """Picks a spot away from the border of the image and from those that are taken."""
    margin = round(16 * cloth.unit)
    inside = np.zeros_like(possible)
    inside[margin:-margin, margin:-margin] = possible[margin:-margin, margin:-margin]
    taken.append(free_spot(inside, taken, 80 * cloth.unit / max(1, len(taken)), rng))
    return taken[-1]


def _strand(
    cloth: Cloth, middle: Point, heading: float, length: float, rng: np.random.Generator
) -> Field:
    """Lays a thin piece of yarn on the cloth, and returns what then lies on it in px."""
    course = curve(middle, heading, length, rng.normal(0, 1.4))
    around = np.linspace(0, 2 * math.pi * length / (26 * cloth.unit), len(course))
    aside = np.sin(around + rng.uniform(0, 6)) * rng.uniform(0.6, 2) * cloth.unit
    course += aside[:, None] * np.array([-math.sin(heading), math.cos(heading)])
    taper = np.clip(4 * np.sin(np.linspace(0.1, math.pi - 0.1, len(course))), 0, 1)
    width = rng.uniform(1.7, 2.5) * cloth.unit
    drawn = draw(course, width, taper, cloth.lying.shape)
    strand: Field = np.float32(width) * cv2.GaussianBlur(drawn, (0, 0), 0.4 * cloth.unit)
    return np.maximum(cloth.lying, strand)


FABRIC_DEFECTS: dict[str, FabricDefect] = {
    "broken_thread": broken_thread,
    "knot": knot,
    "loose_thread": loose_thread,
    "stain": stain,
}
