"""A moulded tub, seen obliquely from one of four sides: its lid, its wall and the light on it."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.scenes import (
    Rendering,
    Scene,
    cast_shadow,
    develop,
    draw_scene,
    lamp_light,
    shine,
)
from anomalyncd.synthetic.shapes import Field, rounded_rectangle, smooth_noise
from anomalyncd.synthetic.surfaces import planes, slopes

HALF = (98.0, 62.0)
"""Half length and half width of the lid in design px."""

_MOULDING = 1  # second word of the seed
_DEPTH = 46.0
_SQUASH = 0.74
_TAPER = 0.09
_FLANGE = 0.14
_AMBIENT = 0.5
_PLASTIC = planes([0.50, 0.53, 0.47])


@dataclass(frozen=True)
class Tub:
    """The lid of a tub, laid out over the image at each pixel; lengths in design px."""

    across: Field
    """Position along the lid's longer axis, 0 in its middle."""
    down: Field
    """Position along its shorter axis."""
    body: Field
    """Signed distance to the edge of the lid without tab and damage, negative on the lid."""
    push: Field
    """How far the edge is pressed inwards."""
    colour: npt.NDArray[np.float32]
    """Reflectance, 3 (red, green, blue) x H x W."""
    table: Field
    """Reflectance of what the tub stands on."""
    unit: float
    """Px for one design px."""

    @property
    def rim(self) -> Field:
        """Signed distance to the edge of the lid with its tab, negative on it."""
        tab = rounded_rectangle(self.across - HALF[0], self.down + 26, (11.0, 15.0), 7)
        edge: Field = np.minimum(self.body, tab) + self.push
        return edge

    def cover(self, distance: Field) -> Field:
        """The share of each pixel on the inner side of an outline, from the distance to it."""
        covered: Field = np.clip(0.5 - np.float32(_SQUASH * self.unit) * distance, 0, 1)
        return covered


def draw_tub_scene(seed: int, size: tuple[int, int]) -> Scene:
    """Draws a scene in which the tub shows one of its four sides, to within 3 degrees."""
    scene = draw_scene(seed, size, any_rotation=True, reach=3)
    side, rest = divmod(scene.rotation, 90)
    return replace(scene, rotation=90 * side + 23 + 6 * (rest / 90 - 0.5))


def lay_tub(scene: Scene) -> Tub:
    """Makes the normal tub of a scene; the seed also draws shade, grain and dust."""
    rng = np.random.default_rng([scene.seed, _MOULDING])
    unit, size = scene.unit, scene.size
    angle = math.radians(scene.rotation)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x = (x - (size[1] - 1) / 2 - scene.shift[0]) / np.float32(unit)
    y = (y - (size[0] - 1) / 2 - scene.shift[1]) / np.float32(unit) + np.float32(0.42 * _DEPTH)
    y = y / np.float32(_SQUASH)
    across = math.cos(angle) * x - math.sin(angle) * y
    down = math.sin(angle) * x + math.cos(angle) * y
    grain = smooth_noise(rng, size, 1.2 * unit)
    shade = rng.uniform(0.94, 1.06) * (
        1 + 0.012 * grain + 0.015 * smooth_noise(rng, size, 50 * unit)
    )
    table = 0.30 * (1 + 0.02 * smooth_noise(rng, size, 90 * unit) + 0.035 * grain)
    return Tub(
        across=across.astype(np.float32),
        down=down.astype(np.float32),
        body=rounded_rectangle(across, down, HALF, 26),
        push=np.zeros(size, np.float32),
        colour=_PLASTIC * shade.astype(np.float32),
        table=table.astype(np.float32),
        unit=unit,
    )


def photograph_tub(tub: Tub, scene: Scene) -> Rendering:
    """Renders a tub as the camera sees it: table, shadow, wall, and the lid on top."""
    unit, lamp = tub.unit, lamp_light(scene)
    on_lid = tub.cover(tub.rim)
    wall, on_wall = _wall(tub, scene)
    relief = cv2.GaussianBlur(unit * _relief(tub), (0, 0), 0.6 * unit)
    lid, mirrored = shine(relief, _AMBIENT, scene)
    sheen = 0.10 * mirrored**24
    lid *= 1 - 0.82 * tub.cover(_vent(tub))
    shadow = np.maximum(cast_shadow(on_wall, 9 * unit, 5 * unit, scene), on_wall)
    table = tub.table * (1 - 0.5 * shadow)
    behind = table + on_wall * (_PLASTIC * wall - table)
    return develop(list(lamp * (behind + on_lid * (tub.colour * lid + sheen - behind))), scene)


def _relief(tub: Tub) -> Field:
    """Height of the lid: a round edge, a groove, a sunken field with a lip, and three ribs."""
    rim = tub.rim
    edge = -0.10 * np.maximum(0, 6 + rim) ** 2
    groove = -1.6 * np.exp(-0.5 * ((rim + 11) / 1.6) ** 2)
    field = -2.2 * np.clip(-(rim + 17.5) / 3, 0, 1)
    lip = 1.8 * np.exp(-0.5 * (_vent(tub) / 2) ** 2)
    ribs = np.zeros_like(edge)
    for place in (-66, -54, -42):
        rib = rounded_rectangle(tub.across - place, tub.down, (2.4, 26.0), 2.4)
        ribs = np.maximum(ribs, 2.4 * np.clip(1 - rib / 2, 0, 1))
    relief: Field = (edge + groove + field + lip + ribs - 0.5 * tub.push).astype(np.float32)
    return relief


def _vent(tub: Tub) -> Field:
    """Signed distance to the round vent at one end of the lid, negative in it."""
    distance: Field = np.hypot(tub.across - 56, tub.down - 20) - 8
    return distance


def _wall(tub: Tub, scene: Scene) -> tuple[Field, Field]:
    """Shades flange and wall, and returns the shade and the share of each pixel they cover.

    They are a pile of outlines, each a little lower in the image and smaller than the last.
    """
    edge_x, edge_y = slopes(cv2.GaussianBlur(tub.body + tub.push, (0, 0), 1.5 * tub.unit))
    steep = np.maximum(np.hypot(edge_x, edge_y), np.float32(1e-3))
    x, y, _ = scene.towards_lamp
    shade = np.maximum(0.25 + (edge_x * x + edge_y * y) / steep, 0)
    shade = np.float32(_AMBIENT) + np.float32(1 - _AMBIENT) * shade.astype(np.float32)
    wall, covered = np.zeros_like(tub.body), np.zeros_like(tub.body)
    middle_x, middle_y = scene.size[1] / 2 + scene.shift[0], scene.size[0] / 2 + scene.shift[1]
    rim = tub.rim
    for depth in np.linspace(1, 0, max(8, math.ceil(_DEPTH * tub.unit / 2))):
        # Below the flange, the wall is set back and soon as straight as if nothing had happened.
        on_flange = depth < _FLANGE
        outline = rim if on_flange else tub.body + 4 + tub.push * np.float32(max(0, 1 - 2 * depth))
        narrower, down = _TAPER * depth, depth * _DEPTH * tub.unit
        move = np.array([[1.0, 0, narrower * middle_x], [0, 1, narrower * middle_y + down]])
        move[:, :2] *= 1 - narrower
        cover = cv2.warpAffine(tub.cover(outline), move, scene.size[::-1])
        lit = cv2.warpAffine(shade, move, scene.size[::-1], borderMode=cv2.BORDER_REPLICATE)
        # The flange keeps light from the upper end of the wall.
        tone = 0.95 if on_flange else 0.9 - 0.15 * depth - 0.3 * math.exp(-(depth - _FLANGE) / 0.07)
        wall = wall * (1 - cover) + cover * lit * np.float32(tone)
        covered = np.maximum(covered, cover)
    return wall, covered
