"""How a synthetic image is taken: the place of the product, the lamp, the lens and the sensor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.shapes import Field
from anomalyncd.synthetic.surfaces import slopes

Rendering = npt.NDArray[np.float32]
"""An image before the sensor's noise, H x W x 3 (red, green, blue), grey levels 0 to 255."""

_DESIGN_HEIGHT = 288
"""Shorter side in px of the image for which lengths are stated; they are scaled to other sizes."""
_LAMPS = (35.0, 150.0, 265.0)
_SCENE, _SENSOR = 0, 3  # second words of the seeds


@dataclass(frozen=True)
class Scene:
    """Everything that one image shows besides the product itself."""

    seed: int
    """Seed of everything random in the image of the normal product."""
    size: tuple[int, int]
    """Height and width of the image in px."""
    rotation: float
    """Anticlockwise rotation of the product in degrees, half a turn included."""
    shift: tuple[float, float]
    """Offset (x, y) in px of the product's centre from the centre of the image."""
    light: float
    """Direction in the image from which the lamp shines, degrees anticlockwise from the right."""
    elevation: float
    """Height of the lamp above the product in degrees."""
    exposure: float
    """Factor on the light."""
    warmth: float
    """Colour temperature: relative gain of red over blue."""
    blur: float
    """Standard deviation of the lens's blur in px."""
    noise: float
    """Standard deviation of the sensor's noise in grey levels."""

    @property
    def unit(self) -> float:
        """Px of the image for one px of the design size."""
        return min(self.size) / _DESIGN_HEIGHT

    @property
    def towards_lamp(self) -> tuple[float, float, float]:
        """Unit vector (x right, y down, z towards the camera) from the product to the lamp."""
        azimuth, height = math.radians(self.light), math.radians(self.elevation)
        flat = math.cos(height)
        return flat * math.cos(azimuth), -flat * math.sin(azimuth), math.sin(height)


def draw_scene(
    seed: int,
    size: tuple[int, int],
    any_rotation: bool = False,
    reach: float = 4.0,
    upright: float | None = None,
) -> Scene:
    """Draws a scene; equal arguments give equal scenes.

    Args:
        seed: Any non-negative integer.
        size: Height and width of the image in px.
        any_rotation: Whether the product may point in any direction. Otherwise it lies upright or
            upside down, to within 8 degrees.
        reach: How far the product's centre may be from the image's, in design px in x and in y.
        upright: How many degrees a product may be turned that never lies upside down.
    """
    rng = np.random.default_rng([seed, _SCENE])
    unit = min(size) / _DESIGN_HEIGHT
    # The corners of a long plate would leave the image.
    tilt = 180 if any_rotation else 8 * min(1, 1.4 * min(size) / max(size))
    turn, half_turn = rng.uniform(-1, 1), 180 * rng.integers(2)
    rotation = upright * turn if upright is not None else tilt * turn + half_turn
    return Scene(
        seed=seed,
        size=size,
        rotation=float(rotation),
        shift=(float(rng.uniform(-reach, reach) * unit), float(rng.uniform(-reach, reach) * unit)),
        light=float(rng.choice(_LAMPS) + rng.uniform(-14, 14)),
        elevation=float(rng.uniform(34, 54)),
        exposure=float(np.exp(rng.normal(0, 0.09))),
        warmth=float(rng.normal(1.03, 0.03)),
        blur=float(rng.uniform(0.35, 0.75) * unit),
        noise=float(rng.uniform(1.4, 2.6)),
    )


def lamp_light(scene: Scene) -> Field:
    """The lamp's light on each pixel: brighter towards the lamp, darker in the corners."""
    height, width = scene.size
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lamp_x, lamp_y, _ = scene.towards_lamp
    light: Field = 1 + np.float32(0.14 * lamp_x) * x + np.float32(0.14 * lamp_y) * y
    return light * (1 - np.float32(0.06) * (x**2 + y**2)) * np.float32(scene.exposure)


def shine(relief: Field, ambient: float, scene: Scene) -> tuple[Field, Field]:
    """Returns the light that a relief in px scatters, and how well it mirrors the lamp, 0 to 1."""
    x, y, z = scene.towards_lamp
    slope_x, slope_y = slopes(relief)
    steep = np.sqrt(1 + slope_x**2 + slope_y**2)
    leaning = z - slope_x * x - slope_y * y
    scattered = ambient + (1 - ambient) / z * np.maximum(leaning, 0) / steep
    # The mirror stands halfway between the lamp and the camera.
    mirrored = np.maximum(leaning + 1, 0) / steep / np.float32(math.sqrt(2 + 2 * z))
    return scattered, mirrored


def cast_shadow(cover: Field, height: float, blur: float, scene: Scene) -> Field:
    """Returns the shadow, 0 to 1, of what covers some pixels at a height; lengths in px."""
    x, y, z = scene.towards_lamp
    reach = -height / z
    move = np.array([[1, 0, reach * x], [0, 1, reach * y]])
    cast = cv2.warpAffine(cover, move, scene.size[::-1], flags=cv2.INTER_LINEAR)
    shadow: Field = cv2.GaussianBlur(cast, (0, 0), blur)
    return shadow


def develop(linear: Sequence[Field], scene: Scene) -> Rendering:
    """Turns red, green and blue light, each H x W from 0 to 1, into grey levels of gamma 2.2."""
    white_balance = (scene.warmth, 1.0, 1 / scene.warmth)
    balanced = cv2.merge(
        [light * np.float32(gain) for light, gain in zip(linear, white_balance, strict=True)]
    )
    balanced = cv2.GaussianBlur(balanced, (0, 0), scene.blur)
    rendering: Rendering = cv2.pow(np.clip(balanced, 0, 1), 1 / 2.2) * np.float32(255)
    return rendering


def expose(rendering: Rendering, scene: Scene) -> npt.NDArray[np.uint8]:
    """Adds the sensor's noise, which is the same for one scene, and rounds to 8 bits."""
    rng = np.random.default_rng([scene.seed, _SENSOR])
    noise = rng.standard_normal((*scene.size, 3), dtype=np.float32) * np.float32(scene.noise)
    return np.clip(rendering + noise + np.float32(0.5), 0, 255).astype(np.uint8)
