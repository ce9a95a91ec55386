"""Light on synthetic bolts: lamps mirrored in round metal, and the paper below the bolt."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.bolts import END, FACES, Bolt, solid, to_image
from anomalyncd.synthetic.scenes import Rendering, Scene, develop, lamp_light
from anomalyncd.synthetic.shapes import Field, smooth_noise
from anomalyncd.synthetic.surfaces import slopes

_PAPER = 2  # second word of the seed
_TABLE = 129
_COARSE = 4
_TIP_DOWN = 0.07
_FILL_LAMPS = ((140.0, 55.0, 0.35), (-105.0, 42.0, 0.28))
"""Angle from the main lamp, elevation (both degrees) and strength of the other lamps."""


def lay_paper(scene: Scene) -> Field:
    """Makes the reflectance of the paper, with grain and harmless dust, H x W."""
    rng = np.random.default_rng([scene.seed, _PAPER])
    unit, size = scene.unit, scene.size
    paper = rng.uniform(0.50, 0.56) * (1 + 0.012 * smooth_noise(rng, size, 70 * unit))
    paper *= 1 + 0.010 * smooth_noise(rng, size, 1.2 * unit)
    dust = np.zeros(size, np.float32)
    for _ in range(rng.poisson(12)):
        x, y = (float(rng.uniform(0, side)) for side in size[::-1])
        length, angle = rng.exponential(1.2) * unit, rng.uniform(0, math.pi)
        ends = np.array([[x, y], [x + length * math.cos(angle), y + length * math.sin(angle)]])
        start, end = np.rint(ends * 16).astype(int).tolist()
        cv2.line(dust, start, end, rng.uniform(0.15, 0.7), max(1, round(0.4 * unit)), cv2.LINE_8, 4)
    dusty: Field = paper * (1 - cv2.GaussianBlur(dust, (0, 0), 0.45 * unit))
    return dusty


def photograph_bolt(bolt: Bolt, paper: Field, scene: Scene) -> Rendering:
    """Renders a bolt on paper as the camera sees it."""
    above, cover = solid(bolt)
    metal = _metal(bolt, above, scene) * cover[..., None]
    turned = to_image(bolt, scene)
    lamp = lamp_light(scene)
    ground = paper * _shade(cover, turned, bolt, scene) * lamp
    window, turned = _window(bolt, turned, scene)
    fine = cv2.GaussianBlur(cv2.merge([*cv2.split(metal), cover]), (5, 5), 0.8)
    placed = cv2.warpAffine(fine, turned, ground[window].shape[::-1], flags=cv2.INTER_LINEAR)
    *colours, there = cv2.split(placed)
    linear = [ground.copy() for _ in colours]
    for light, colour in zip(linear, colours, strict=True):
        light[window] += colour * lamp[window] - light[window] * there
    return develop(linear, scene)


def _window(
    bolt: Bolt, turned: npt.NDArray[np.float64], scene: Scene
) -> tuple[tuple[slice, slice], npt.NDArray[np.float64]]:
    """Rows and columns of the image that the bolt can cover, and the affine map into them."""
    height, width = bolt.size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ turned.T
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)), scene.size[::-1]).astype(int)
    moved = turned.copy()
    moved[:, 2] -= left, top
    return (slice(top, bottom), slice(left, right)), moved


def _metal(bolt: Bolt, above: Field, scene: Scene) -> npt.NDArray[np.float32]:
    """Light from the metal to the camera, H x W x 3 in px of the bolt."""
    slope_x, slope_y = slopes(above + bolt.height)
    slope_x = slope_x - np.float32(_TIP_DOWN)
    steep = (_TABLE // 2) / np.sqrt(1 + slope_x**2 + slope_y**2)
    half = np.float32(_TABLE // 2)
    light = cv2.remap(
        _light_by_normal(scene), half - slope_x * steep, half - slope_y * steep, cv2.INTER_LINEAR
    )
    window = round(3.4 * bolt.unit)
    lit = 1 - _shadow(above, bolt, scene)
    around = cv2.blur(cv2.blur(above, (window, window)), (window, window))
    cavity = np.clip(1 - (around - above) / np.float32(2.6 * bolt.unit), 0.3, 1.1)
    diffuse = light[..., 0] * lit + light[..., 1] * cavity
    mirrored = (light[..., 2] * lit + light[..., 3] * cavity) * bolt.gloss
    sent: npt.NDArray[np.float32] = cv2.merge([of * diffuse + mirrored for of in bolt.colour])
    return sent


def _light_by_normal(scene: Scene) -> npt.NDArray[np.float32]:
    """A table of the light by the surface normal's x and y, each from -1 to 1.

    Its four planes: light scattered from the main lamp and from everything else, then light
    mirrored from the main lamp and from everything else.
    """
    side = np.linspace(-1, 1, _TABLE, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    mirror = (2 * z * x, 2 * z * y, 2 * z * z - 1)
    main, *others = (_lamp_light((x, y, z), mirror, *lamp) for lamp in _lamps(scene))
    scattered = 0.20 + 0.20 * z + sum(lamp[0] for lamp in others)
    mirrored = _room(mirror[2]) + sum(lamp[1] for lamp in others)
    table: npt.NDArray[np.float32] = cv2.merge([main[0], scattered, main[1], mirrored])
    return table


def _lamps(scene: Scene) -> list[tuple[tuple[float, float, float], float]]:
    """Direction of each lamp relative to the bolt, and its strength; the main lamp first."""
    lamps = [(scene.light, scene.elevation, 1.0)]
    lamps += [(scene.light + off, high, strength) for off, high, strength in _FILL_LAMPS]
    placed = []
    for azimuth, elevation, strength in lamps:
        around, up = math.radians(azimuth - scene.rotation), math.radians(elevation)
        flat = math.cos(up)
        direction = flat * math.cos(around), -flat * math.sin(around), math.sin(up)
        placed.append((direction, strength))
    return placed


def _lamp_light(
    normal: tuple[Field, Field, Field],
    mirror: tuple[Field, Field, Field],
    lamp: tuple[float, float, float],
    strength: float,
) -> tuple[Field, Field]:
    """Light scattered and mirrored from one lamp."""
    facing, glance = (
        sum(a * b for a, b in zip(way, lamp, strict=True)) for way in (normal, mirror)
    )
    sharp, wide = np.exp((glance - 1) / 0.03), np.exp((glance - 1) / 0.22)
    power = np.float32(strength)
    mirrored: Field = (power * (1.7 * sharp + 0.42 * wide)).astype(np.float32)
    return power * np.maximum(facing, 0), mirrored


def _room(upwards: Field) -> Field:
    """What metal mirrors besides lamps: the dim ceiling above and the bright paper below."""
    paper = np.clip(0.5 - 2.2 * upwards, 0, 1)
    room: Field = 0.07 + 0.10 * np.maximum(upwards, 0) + 0.26 * paper
    return room


def _shadow(above: Field, bolt: Bolt, scene: Scene) -> Field:
    """Where head and crests shade the metal from the main lamp, 0 to 1."""
    (x, y, z), _ = _lamps(scene)[0]
    shadow = np.zeros_like(above)
    for reach in (0.8, 1.6, 3.2, 6.0):
        distance = reach * bolt.unit
        move = np.array([[1, 0, -distance * x], [0, 1, -distance * y]])
        ahead = cv2.warpAffine(above, move, above.shape[::-1], flags=cv2.INTER_LINEAR)
        shadow = np.maximum(shadow, (ahead - above) / np.float32(distance * z) - 1)
    dark: Field = cv2.GaussianBlur(np.clip(3 * shadow, 0, 0.85), (0, 0), 0.15 * bolt.unit)
    return dark


def _shade(cover: Field, turned: npt.NDArray[np.float64], bolt: Bolt, scene: Scene) -> Field:
    """The share of light that reaches the paper: less in the shadow and close to the bolt."""
    x, y, z = scene.towards_lamp
    away = -np.array([x, y]) / z
    near_head, near_tip = FACES * scene.unit, 0.25 * FACES * scene.unit
    cast = turned.copy()
    # The axis descends from head to tip, so the shadow comes closer towards the tip.
    cast[:, 0] += away * (near_tip - near_head) / (END * bolt.unit)
    cast[:, 2] += away * near_head
    small = tuple(math.ceil(side / _COARSE) for side in scene.size[::-1])
    coarse = cv2.resize(cover, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    light = np.ones(small[::-1], np.float32)
    for place, blur, strength in ((cast, 2.2, 0.42), (turned, 5.0, 0.35)):
        scaled = place / _COARSE
        scaled[:, :2] *= 2
        fallen = cv2.warpAffine(coarse, scaled, small, flags=cv2.INTER_LINEAR)
        fallen = cv2.GaussianBlur(fallen, (0, 0), blur * scene.unit / _COARSE)
        light *= 1 - np.float32(strength) * fallen
    remaining: Field = cv2.resize(light, scene.size[::-1], interpolation=cv2.INTER_LINEAR)
    return remaining
