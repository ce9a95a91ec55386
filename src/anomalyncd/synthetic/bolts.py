"""A hex-headed coach bolt on its side: its form, relief and colour, before light."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.scenes import Scene
from anomalyncd.synthetic.shapes import Field, Point, smooth_noise
from anomalyncd.synthetic.surfaces import Surface, planes

HEAD, THREAD, TIP, END = 15.0, 60.0, 178.0, 208.0
"""End of the head, start of the thread, start of the taper and end of the bolt, in design px."""
PITCH = 8.8
"""Distance from crest to crest of the thread in design px."""
SHANK, DEPTH = 11.0, 2.6
"""Radius of the shank and depth of the thread in design px."""
FACES = 18.0
"""Distance of the head's six faces from the axis in design px."""
ANGLES: Field = np.linspace(-math.pi / 2, math.pi / 2, 97, dtype=np.float32)
"""Angles around the axis at which the form is sampled; 0 faces the camera."""

_OVERSAMPLING = 2
_MARGIN = 4.0
_TURNING = 1  # second word of the seed


@dataclass(frozen=True)
class Bolt(Surface):
    """A bolt in its own coordinates, with the head at the left; all lengths in px of these."""

    form: Field
    """Distance of the surface from the axis, columns x `ANGLES`."""

    @property
    def along(self) -> Field:
        """Position of each column along the axis in design px, 0 at the top of the head."""
        columns: Field = np.arange(self.size[1], dtype=np.float32) / np.float32(self.unit)
        return columns - np.float32(_MARGIN)

    def spot(self, along: float, angle: float) -> Point:
        """Returns the point (x, y) of the surface at a place along and around the axis."""
        x = (along + _MARGIN) * self.unit
        column = self.form[min(round(x), len(self.form) - 1)]
        y = float(np.interp(angle, ANGLES, column)) * math.sin(angle)
        return x, (self.size[0] - 1) / 2 + y


def lay_bolt(scene: Scene) -> Bolt:
    """Makes the normal bolt of a scene, at twice the resolution of the image."""
    rng = np.random.default_rng([scene.seed, _TURNING])
    unit = _OVERSAMPLING * scene.unit * rng.uniform(1.08, 1.14)
    size = round(2 * (1.2 * FACES + _MARGIN) * unit), round((END + 2 * _MARGIN) * unit)
    along = (np.arange(size[1], dtype=np.float32) / np.float32(unit) - _MARGIN)[:, None]
    phase, roll = float(rng.uniform()), math.radians(rng.normal(0, 3))
    head, shank, thread = np.split(along, np.searchsorted(along[:, 0], [HEAD, THREAD]))
    form = np.vstack([_head(head, roll), _shank(shank), _thread(thread, phase)])
    colour, relief, gloss = _finish(size, along[:, 0], unit, rng)
    return Bolt(height=relief, colour=colour, gloss=gloss, form=form * np.float32(unit), unit=unit)


def solid(bolt: Bolt) -> tuple[Field, Field]:
    """Projects the form onto the plane of the image.

    Returns:
        The height above the axis in px, 0 outside the bolt, and the share of each pixel that the
        bolt covers, both H x W.
    """
    height, width = bolt.size
    y = np.arange(height) - (height - 1) / 2
    form = bolt.form.astype(np.float64)
    aside = form * np.sin(ANGLES)
    middle = len(ANGLES) // 2
    # Overhanging crests hide what is below them.
    aside[:, middle:] = np.maximum.accumulate(aside[:, middle:], axis=1)
    aside[:, middle::-1] = np.minimum.accumulate(aside[:, middle::-1], axis=1)
    radius = np.zeros((width, height), np.float32)
    first, last = np.searchsorted(y, [aside[:, 0], aside[:, -1]])
    for column, rows in enumerate(map(slice, first, last)):
        radius[column, rows] = np.interp(y[rows], aside[column], form[column])
    y = y.astype(np.float32)
    above = cv2.sqrt(np.maximum(radius**2 - y**2, 0)).T
    beyond = np.maximum(y - aside[:, -1:], aside[:, :1] - y).T
    cover = np.clip(0.5 - beyond, 0, 1) * (aside[:, -1] - aside[:, 0] > 1)
    return np.ascontiguousarray(above), cover.astype(np.float32)


def to_image(bolt: Bolt, scene: Scene) -> npt.NDArray[np.float64]:
    """Returns the affine map, 2 x 3, from px (x, y) of the bolt to px of the image."""
    angle = math.radians(scene.rotation)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    middle = np.array([bolt.size[1] - 1, bolt.size[0] - 1]) / 2
    place = np.array([scene.size[1] - 1, scene.size[0] - 1]) / 2 + np.array(scene.shift)
    return np.column_stack([turn / _OVERSAMPLING, place - turn @ middle / _OVERSAMPLING])


def _head(along: Field, roll: float) -> Field:
    """Six faces, chamfered at the top, with a round bearing face towards the shank."""
    sixth = math.pi / 3
    off_face = (ANGLES - roll + sixth / 2) % sixth - sixth / 2
    faces = np.minimum(FACES / np.cos(off_face), 1.14 * FACES)
    chamfer = 0.88 * FACES + 1.75 * along
    bearing = np.where(along > HEAD - 1.6, 0.96 * FACES, 2 * FACES)
    head: Field = (np.minimum(np.minimum(faces, chamfer), bearing) * (along > 0)).astype(np.float32)
    return head


def _shank(along: Field) -> Field:
    """A cylinder with a fillet below the head."""
    fillet = np.clip(1 - (along - HEAD) / 2, 0, 1) ** 2
    return np.repeat(SHANK + np.float32(1.5) * fillet, len(ANGLES), axis=1)


def _thread(along: Field, phase: float) -> Field:
    """A helical ridge around a core that runs out to a point."""
    turns = (along - THREAD) / PITCH - ANGLES / np.float32(2 * math.pi) + phase
    off_crest = np.abs(2 * (turns - np.floor(turns)) - 1)
    ridge = np.clip((0.70 - off_crest) / 0.55, 0, 1)
    ridge = ridge * ridge * (3 - 2 * ridge)
    begun = np.clip((along - THREAD) / PITCH, 0, 1)
    taper = np.clip((along - TIP) / (END - TIP), 0, 1)
    core = (SHANK - DEPTH) * (1 - taper**1.4)
    crest = DEPTH * np.clip(2.2 * (1 - taper), 0, 1) * np.maximum(ridge, 1 - begun)
    thread: Field = (core + crest) * (taper < 1)
    return thread


def _finish(
    size: tuple[int, int], along: Field, unit: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], Field, Field]:
    """Zinc: cloudy colour, fine grain, rolling marks around the axis, forging skin on the head."""
    grain = smooth_noise(rng, size, 0.45 * unit)
    clouds = smooth_noise(rng, size, 7 * unit)
    marks = cv2.GaussianBlur(rng.standard_normal((1, size[1]), np.float32), (0, 0), 0.35 * unit)
    forged = np.clip(1 - (along - HEAD), 0, 1) * smooth_noise(rng, size, 2.2 * unit)
    relief = np.float32(unit) * (0.012 * grain + 0.05 * marks + 0.03 * forged)
    shade = rng.uniform(0.09, 0.12) * (1 + 0.05 * clouds + 0.03 * grain)
    colour = planes([0.99, 1.0, 1.01]) * shade
    gloss = rng.uniform(0.55, 0.68) * (1 + 0.07 * clouds + 0.04 * grain)
    return colour.astype(np.float32), relief.astype(np.float32), gloss.astype(np.float32)
