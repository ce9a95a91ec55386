"""A plain-woven cloth that fills the image: its threads, its relief and the light on it."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.scenes import Rendering, Scene, cast_shadow, develop, lamp_light, shine
from anomalyncd.synthetic.shapes import Field, smooth_noise
from anomalyncd.synthetic.surfaces import planes

PITCH = 5.6
"""Distance from thread to thread in design px."""

_WEAVING = 1  # second word of the seed
_AMBIENT = 0.55
_GROUND = -0.75
_CRIMP = 0.2


@dataclass(frozen=True)
class Threads:
    """One of the two sets of parallel threads at each pixel; lengths in spacings of threads."""

    number: npt.NDArray[np.int32]
    """Which thread passes, H x W, from 0."""
    offset: Field
    """Distance from the middle of this thread, with a sign."""
    along: Field
    """Position along it; it crosses a thread of the other set wherever this is k + 0.5."""
    thickness: Field
    """Its width."""
    shade: Field
    """Its reflectance, divided by the mean."""


@dataclass(frozen=True)
class Cloth:
    """A cloth in the frame of the image."""

    threads: tuple[Threads, Threads]
    """The warp, which runs down the image, and the weft, which runs across."""
    lying: Field
    """Thickness in px of yarn that lies on the cloth."""
    dye: npt.NDArray[np.float32]
    """Factor on the reflectance, 3 (red, green, blue) x H x W."""
    turn: float
    """Clockwise direction of the weft in the image in radians."""
    unit: float
    """Px for one px of the design size."""


def lay_cloth(scene: Scene) -> Cloth:
    """Makes the normal cloth of a scene; the seed also draws where the weave begins."""
    rng = np.random.default_rng([scene.seed, _WEAVING])
    unit, turn = scene.unit, -math.radians(scene.rotation)
    pitch = PITCH * unit * rng.uniform(0.98, 1.02)
    y, x = np.mgrid[: scene.size[0], : scene.size[1]].astype(np.float32) / np.float32(pitch)
    across = math.cos(turn) * x + math.sin(turn) * y + _bend(rng, scene)
    down = math.cos(turn) * y - math.sin(turn) * x + _bend(rng, scene)
    across, down = across - across.min() + rng.uniform(0, 2), down - down.min() + rng.uniform(0, 2)
    cloudy = 1 + 0.02 * smooth_noise(rng, scene.size, 60 * unit)
    return Cloth(
        threads=(_spin(across, down, rng), _spin(down, across, rng)),
        lying=np.zeros(scene.size, np.float32),
        dye=planes([1, 1, 1]) * cloudy,
        turn=turn,
        unit=unit,
    )


def photograph_cloth(cloth: Cloth, scene: Scene) -> Rendering:
    """Renders a cloth as the camera sees it."""
    unit = cloth.unit
    warp, weft = _heights(cloth.threads[0], 1), _heights(cloth.threads[1], -1)
    top = np.maximum(np.maximum(warp, weft), _GROUND)
    cover = np.clip(cloth.lying / np.float32(0.5 * unit), 0, 1)
    relief = PITCH * unit * top * (1 - 0.8 * cover) + cloth.lying
    deep = cv2.GaussianBlur(relief, (0, 0), 0.45 * PITCH * unit) - relief
    light, _ = shine(cv2.GaussianBlur(relief, (0, 0), 0.5 * unit), _AMBIENT, scene)
    shadow = cast_shadow(cover, 1.8 * unit, 0.9 * unit, scene) * (1 - cover)
    light *= lamp_light(scene) * np.exp(-0.34 / unit * np.maximum(deep, 0)) * (1 - 0.5 * shadow)
    of_warp, of_weft = planes([0.25, 0.30, 0.38]), planes([0.42, 0.43, 0.43])
    shades = [threads.shade for threads in cloth.threads]
    woven = np.where(warp > weft, of_warp * shades[0], of_weft * shades[1])
    woven[:, top <= _GROUND] = 0.05  # between the threads, the table shows through
    woven += cover * (np.float32(1.06) * of_weft - woven)
    return develop(list(woven * light * cloth.dye), scene)


def _bend(rng: np.random.Generator, scene: Scene) -> Field:
    """Bends parallel threads a little: a displacement in spacings, H x W."""
    narrow = smooth_noise(rng, scene.size, 14 * scene.unit)
    return 0.16 * smooth_noise(rng, scene.size, 70 * scene.unit) + 0.03 * narrow


def _spin(across: Field, along: Field, rng: np.random.Generator) -> Threads:
    """Makes threads of which each has its own place, thickness and shade, varying along it."""
    number = np.floor(across).astype(np.int32)
    n_threads, per_spacing = int(number.max()) + 1, 2
    length = math.ceil(float(along.max())) * per_spacing + 2

    def vary(reach: float, share_of_thread: float) -> Field:
        """Draws a number for each pixel that depends on the thread and the place along it."""
        noise = rng.standard_normal((n_threads, length), dtype=np.float32)
        slow = cv2.GaussianBlur(noise, (0, 0), sigmaX=reach * per_spacing, sigmaY=1e-3)
        own = rng.standard_normal((n_threads, 1), dtype=np.float32)
        table = share_of_thread * own + slow * np.float32(1.9 * math.sqrt(reach * per_spacing))
        places = along * np.float32(per_spacing), number.astype(np.float32)
        varied: Field = cv2.remap(table.astype(np.float32), *places, cv2.INTER_LINEAR)
        return varied

    offset = across - number - np.float32(0.5) + 0.03 * vary(3, 0.8)
    fibres = np.cos(2 * np.pi * (2 * along + 1.3 * offset + 0.2 * vary(1.5, 3)))
    return Threads(
        number=number,
        offset=offset,
        along=along,
        thickness=np.clip(0.9 + 0.04 * vary(2.5, 0.8), 0.6, 1.05),
        shade=1 + 0.04 * vary(4, 0.9) + 0.05 * fibres + 0.04 * vary(0.5, 0),
    )


def _heights(threads: Threads, sign: int) -> Field:
    """Height of the threads' upper side in spacings, below the ground where there is none."""
    ratio = 2 * threads.offset / np.maximum(threads.thickness, np.float32(1e-3))
    arch = 0.38 * threads.thickness * np.sqrt(np.maximum(0, 1 - ratio**2))
    parity = 1 - 2 * (threads.number % 2).astype(np.float32)
    wave = np.float32(sign * _CRIMP) * parity * np.sin(np.float32(np.pi) * threads.along)
    return np.where(np.abs(ratio) < 1, arch + wave, np.float32(2 * _GROUND)).astype(np.float32)
