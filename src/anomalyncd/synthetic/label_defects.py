"""Four kinds of defects of synthetic labels; each takes a label and returns the damaged one."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from anomalyncd.synthetic.labels import Label
from anomalyncd.synthetic.shapes import Field, Point, blob, curve, draw, free_spot, smooth_noise

LabelDefect = Callable[[Label, list[Point], np.random.Generator], Label]
"""Damages a label; the list holds the points that are taken, and grows."""


def missing_print(label: Label, taken: list[Point], rng: np.random.Generator) -> Label:
    """Print that faded in a patch, or in a band along which the printing head failed."""
    size, unit = label.size, label.unit
    x, y = _pick(label, taken, rng)
    if rng.random() < 0.5:
        faded = blob(size, (x, y), rng.uniform(11, 26) * unit, rng)
    else:
        length, width = rng.uniform(50, 120) * unit, rng.uniform(4, 10) * unit
        course = curve((x, y), rng.choice([0, math.pi / 2]), length, 0)
        faded = draw(course, width, np.ones(len(course)), size)
    faded = cv2.GaussianBlur(faded, (0, 0), 1.5 * unit)
    patchy = 0.25 * smooth_noise(rng, size, 2.2 * unit) + 0.12 * smooth_noise(rng, size, 1.2 * unit)
    lost = np.clip(2.2 * faded - 0.6 + patchy, 0, 1) * np.float32(rng.uniform(0.6, 0.97))
    return replace(label, ink=label.ink * (1 - lost))


def shift(label: Label, taken: list[Point], rng: np.random.Generator) -> Label:
    """The whole print sits some px off its place on the label."""
    heading, distance = rng.uniform(0, 2 * math.pi), rng.uniform(3.5, 8) * label.unit
    move = np.array(
        [[1, 0, distance * math.cos(heading)], [0, 1, 0.8 * distance * math.sin(heading)]]
    )
    return replace(label, ink=cv2.warpAffine(label.ink, move, label.size[::-1]))


def smear(label: Label, taken: list[Point], rng: np.random.Generator) -> Label:
    """Wet print wiped in one direction, streaky, paler with the distance."""
    size, unit = label.size, label.unit
    spot = _pick(label, taken, rng)
    length, heading = rng.uniform(14, 36) * unit, rng.normal(0, 0.35) + rng.choice([0, math.pi])
    reach = math.ceil(length)
    wiper = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for step in np.arange(0, length, 0.5):
        column, row = reach - step * math.cos(heading), reach - step * math.sin(heading)
        wiper[round(row), round(column)] += math.exp(-1.6 * step / length)
    wiper /= wiper.sum()
    wiped = cv2.GaussianBlur(blob(size, spot, rng.uniform(13, 30) * unit, rng), (0, 0), 2 * unit)
    streaks = cv2.filter2D(smooth_noise(rng, size, 1.5 * unit), -1, wiper)
    dragged = cv2.filter2D(label.ink * wiped, -1, wiper) * (1 + 2.5 * streaks)
    dragged = np.clip(rng.uniform(1.0, 1.7) * dragged, 0, 0.85)
    thinned = label.ink * (1 - np.float32(rng.uniform(0.1, 0.35)) * wiped)
    return replace(label, ink=(thinned + dragged * (1 - thinned)).astype(np.float32))


def wrinkle(label: Label, taken: list[Point], rng: np.random.Generator) -> Label:
    """One to three folds of the paper that run side by side, brighter towards the lamp."""
    size, unit = label.size, label.unit
    x, y = _pick(label, taken, rng)
    heading, height = rng.uniform(0, math.pi), label.height
    crests = np.zeros(size, np.float32)
    for number in range(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])):
        away = number * rng.uniform(6, 11) * unit
        middle = (x - away * math.sin(heading), y + away * math.cos(heading))
        length = rng.uniform(36, 100) * unit
        course = curve(middle, heading + rng.normal(0, 0.12), length, rng.normal(0, 0.5))
        taper = np.sin(np.linspace(0.05, math.pi - 0.05, len(course))) ** 0.7
        crest = draw(course, rng.uniform(1.4, 2.4) * unit, taper, size)
        crests = np.maximum(crests, cv2.GaussianBlur(crest, (0, 0), 0.9 * unit))
    crests *= np.clip(-label.rim / (3 * unit), 0, 1)
    flanks: Field = cv2.GaussianBlur(crests, (0, 0), 2.5 * unit)
    fold = np.float32(rng.uniform(2.5, 3.8) * unit) * (crests - 0.4 * flanks)
    return replace(label, height=height + fold, ink=label.ink * (1 - 0.3 * crests))


def _pick(label: Label, taken: list[Point], rng: np.random.Generator) -> Point:
    """Picks a spot with print around it, away from the spots that are taken."""
    unit = label.unit
    wide = round(20 * unit) * 2 + 1
    printed = cv2.blur(label.ink, (wide, round(8 * unit) * 2 + 1)) > 0.16
    distance = 80 * unit / max(1, len(taken))
    taken.append(free_spot(printed & (label.rim < -18 * unit), taken, distance, rng))
    return taken[-1]


LABEL_DEFECTS: dict[str, LabelDefect] = {
    "missing_print": missing_print,
    "shift": shift,
    "smear": smear,
    "wrinkle": wrinkle,
}
