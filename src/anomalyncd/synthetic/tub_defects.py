"""Two kinds of defects of synthetic tubs, which return at the same place of every tub."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from anomalyncd.synthetic.shapes import Point, blob, smooth_noise
from anomalyncd.synthetic.surfaces import planes
from anomalyncd.synthetic.tubs import HALF, Tub

TubDefect = Callable[[Tub, list[Point], np.random.Generator], Tub]
"""Damages a tub; no points need to be taken, since the places of the kinds are fixed."""

_BUCKLE = (-28.0, HALF[1])
_SPOT = (6.0, -22.0)
_SHEET = 100  # side of the stain's outline in px, two of which are one design px
_TOOL = 5


def deformed_rim(tub: Tub, taken: list[Point], rng: np.random.Generator) -> Tub:
    """A piece of the longer edge pressed in, with a bulge on both sides, as by a worn ejector."""
    aside = tub.across - _BUCKLE[0] - rng.normal(0, 1.2)
    width, depth = rng.uniform(9, 13), rng.uniform(3, 6.5)
    inwards = np.exp(-0.5 * ((tub.down - _BUCKLE[1]) / 16) ** 2)
    along = np.exp(-0.5 * (aside / width) ** 2)
    bulge = np.exp(-0.5 * ((np.abs(aside) - 2.1 * width) / (0.6 * width)) ** 2)
    push = (inwards * (depth * along - 0.22 * depth * bulge)).astype(np.float32)
    return replace(tub, push=tub.push + push)


def stain(tub: Tub, taken: list[Point], rng: np.random.Generator) -> Tub:
    """A greasy print of the gripper on the lid, always with the same outline."""
    tool = np.random.default_rng(_TOOL)
    sheet = blob((_SHEET, _SHEET), (_SHEET / 2, _SHEET / 2), 0.3 * _SHEET, tool)
    soft = cv2.GaussianBlur(sheet, (0, 0), 1.6)
    rim = np.clip(3 * soft * (1 - cv2.GaussianBlur(sheet, (0, 0), 5)), 0, 1)
    size = 2 / np.float32(rng.uniform(0.92, 1.08))
    x = (tub.across - np.float32(_SPOT[0] + rng.normal(0, 0.8))) * size + _SHEET / 2
    y = (tub.down - np.float32(_SPOT[1] + rng.normal(0, 0.8))) * size + _SHEET / 2
    grease = cv2.remap(soft * 0.7 + 0.5 * rim, x, y, cv2.INTER_LINEAR)
    grease *= 1 + 0.12 * smooth_noise(rng, tub.body.shape, 5 * tub.unit)
    darker = np.exp(-np.float32(rng.uniform(0.7, 1.2)) * planes([0.26, 0.34, 0.46]) * grease)
    return replace(tub, colour=(tub.colour * darker).astype(np.float32))


TUB_DEFECTS: dict[str, TubDefect] = {"deformed_rim": deformed_rim, "stain": stain}
