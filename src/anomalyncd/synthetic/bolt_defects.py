"""Six kinds of small defects of synthetic bolts; each takes a bolt and returns the damaged one."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.bolts import (
    ANGLES,
    DEPTH,
    END,
    HEAD,
    PITCH,
    SHANK,
    THREAD,
    TIP,
    Bolt,
)
from anomalyncd.synthetic.shapes import Field, curve, draw, oval, smooth_noise
from anomalyncd.synthetic.surfaces import corrode, engrave

BoltDefect = Callable[[Bolt, list[float], np.random.Generator], Bolt]
"""Damages a bolt; the list holds the places along its thread that are taken, and grows."""

_MIN_DISTANCE = 24.0
"""Between two defects of the thread, in design px."""


def head_scratch(bolt: Bolt, taken: list[float], rng: np.random.Generator) -> Bolt:
    """One to three grooves across the head, bright where the steel shows."""
    spot = bolt.spot(rng.uniform(0.35, 0.65) * HEAD, rng.uniform(-0.6, 0.6))
    heading = rng.uniform(0.9, 2.2) if rng.random() < 0.7 else rng.uniform(0, math.pi)
    return _scratched(bolt, spot, heading, rng.uniform(9, 17), rng)


def shank_dent(bolt: Bolt, taken: list[float], rng: np.random.Generator) -> Bolt:
    """A blow on the smooth shank: a bowl with a raised lip and rubbed zinc."""
    along, angle = rng.uniform(HEAD + 7, THREAD - 6), rng.uniform(-0.8, 0.8)
    radius = rng.uniform(3.2, 5.5) * bolt.unit
    distance = oval(
        bolt.size, bolt.spot(along, angle), radius, rng.uniform(0.55, 0.9), rng.uniform(0, 3)
    )
    distance += 0.07 * smooth_noise(rng, bolt.size, 2.5 * bolt.unit)
    bowl: Field = np.maximum(0, 1 - distance**2) ** np.float32(1.3)
    lip = np.exp(-0.5 * ((distance - 1.08) / 0.16) ** 2)
    depth = np.float32(rng.uniform(0.22, 0.38) * radius)
    return replace(
        bolt,
        height=bolt.height - depth * (bowl - np.float32(0.12) * lip),
        gloss=bolt.gloss * (1 - np.float32(rng.uniform(0.1, 0.35)) * bowl),
    )


def crushed_thread(bolt: Bolt, taken: list[float], rng: np.random.Generator) -> Bolt:
    """The crests of two to four turns pressed flat on one side, bright and rough."""
    along = _free_place(taken, rng)
    angle, half = rng.uniform(-1.1, 1.1), 0.5 * PITCH * rng.uniform(2.0, 3.6)
    spread = rng.uniform(0.40, 0.62)
    offset = (bolt.along[:, None] - along) / half
    window = np.clip(4 * (1 - np.hypot(offset, (ANGLES - angle) / spread)), 0, 1)
    dents = smooth_noise(rng, (bolt.form.shape[0], len(ANGLES)), 5)
    limit = SHANK - DEPTH * (rng.uniform(0.70, 0.92) + 0.08 * dents)
    limit = np.minimum(bolt.form, np.float32(bolt.unit) * limit)
    form = bolt.form + window.astype(np.float32) * (limit - bolt.form)
    pressed = _project(bolt, bolt.form - form > 0.3 * DEPTH * bolt.unit)
    fresh = smooth_noise(rng, bolt.size, 0.8 * bolt.unit)
    return replace(
        bolt,
        form=form,
        height=bolt.height + np.float32(0.06 * bolt.unit) * fresh * pressed,
        colour=bolt.colour * (1 + np.float32(rng.uniform(0.4, 0.9)) * pressed),
    )


def bent_thread(bolt: Bolt, taken: list[float], rng: np.random.Generator) -> Bolt:
    """One or two turns of the thread bent over at the side of the bolt, as after a fall."""
    along = _free_place(taken, rng)
    angle = rng.choice([-1, 1]) * rng.uniform(0.7, 1.35)
    width, spread = 0.5 * PITCH * rng.uniform(1.1, 1.6), rng.uniform(0.35, 0.5)
    away = np.hypot((bolt.along[:, None] - along) / width, (ANGLES - angle) / spread)
    window = np.exp(-0.5 * away**2)
    lean = rng.choice([-1, 1]) * rng.uniform(0.45, 0.60) * PITCH
    source = (bolt.along[:, None] - lean * window - bolt.along[0]) * bolt.unit
    row = np.clip(np.rint(source).astype(int), 0, len(bolt.form) - 1)
    ridge = bolt.form[row, np.arange(len(ANGLES))]
    core = np.float32((SHANK - DEPTH) * bolt.unit)
    lower = 1 - np.float32(rng.uniform(0.25, 0.55)) * window
    form = np.where(window > 0.02, core + (ridge - core) * lower, bolt.form)
    return replace(bolt, form=form.astype(np.float32))


def broken_tip(bolt: Bolt, taken: list[float], rng: np.random.Generator) -> Bolt:
    """The point broken off, with a rough, grey, slanting face in its place."""
    end = END - rng.uniform(7, 15)
    jagged = 0.7 * smooth_noise(rng, (1, len(ANGLES)), 14) + rng.normal(0, 2.0) * np.sin(ANGLES)
    beyond = bolt.along[:, None] - (end + jagged)
    # Over a short distance the fracture slopes from the axis up to the surface.
    form = bolt.form * np.clip(1 - beyond / 1.8, 0, 1) * (beyond < 1.3)
    fracture = np.clip((bolt.along - end + 1.2) / 0.8, 0, 1)[None]
    rough = smooth_noise(rng, bolt.size, 0.7 * bolt.unit)
    return replace(
        bolt,
        form=form.astype(np.float32),
        height=bolt.height + np.float32(0.12 * bolt.unit) * rough * fracture,
        gloss=bolt.gloss * (1 - 0.6 * fracture),
    )


def rust(bolt: Bolt, taken: list[float], rng: np.random.Generator) -> Bolt:
    """One to three red-brown specks close together, anywhere on the bolt."""
    along, angle = rng.uniform(4, TIP), rng.uniform(-0.9, 0.9)
    for _ in range(rng.integers(1, 4)):
        spot = bolt.spot(along, angle)
        radius = rng.uniform(3.6, 6.0) * bolt.unit
        bolt = corrode(bolt, spot, radius, 0.6 * bolt.unit, rng)
        along, angle = along + rng.normal(0, 5), np.clip(angle + rng.normal(0, 0.3), -1, 1)
    return bolt


def _scratched(
    bolt: Bolt, spot: tuple[float, float], heading: float, length: float, rng: np.random.Generator
) -> Bolt:
    strokes = np.zeros(bolt.size, np.float32)
    for number in range(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2])):
        middle = spot[0] + 2.2 * number * bolt.unit, spot[1] + rng.normal(0, 1.5) * bolt.unit
        course = curve(middle, heading + rng.normal(0, 0.08), length * bolt.unit, 0.2)
        pressure = np.sin(np.linspace(0.3, math.pi - 0.2, len(course))) ** 0.5
        width = rng.uniform(0.6, 0.95) * bolt.unit
        strokes = np.maximum(strokes, draw(course, width, pressure, bolt.size))
    on_head = np.clip((HEAD - bolt.along) * bolt.unit, 0, 1)
    strokes *= on_head
    bolt = replace(bolt, gloss=bolt.gloss * (1 + np.float32(rng.uniform(0.3, 0.8)) * strokes))
    depth, tone = rng.uniform(0.3, 0.5) * bolt.unit, rng.uniform(0.8, 1.8)
    return engrave(bolt, strokes, depth, tone, 0.5 * bolt.unit)


def _free_place(taken: list[float], rng: np.random.Generator) -> float:
    """A place along the thread, at a distance from other defects if there is room."""
    for _ in range(20):
        along = float(rng.uniform(THREAD + 2 * PITCH, TIP))
        if all(abs(along - other) > _MIN_DISTANCE for other in taken):
            break
    taken.append(along)
    return along


def _project(bolt: Bolt, where: npt.NDArray[np.bool_]) -> Field:
    """Carries marks on the form, columns x angles, to the pixels of the bolt, H x W."""
    y = np.arange(bolt.size[0], dtype=np.float32) - np.float32((bolt.size[0] - 1) / 2)
    angle = np.arcsin(np.clip(y / np.float32(SHANK * bolt.unit), -1, 1))
    nearest = np.rint((angle / math.pi + 0.5) * (len(ANGLES) - 1)).astype(int)
    return np.ascontiguousarray(where[:, nearest].T).astype(np.float32)


BOLT_DEFECTS: dict[str, BoltDefect] = {
    "bent_thread": bent_thread,
    "broken_tip": broken_tip,
    "crushed_thread": crushed_thread,
    "head_scratch": head_scratch,
    "rust": rust,
    "shank_dent": shank_dent,
}
