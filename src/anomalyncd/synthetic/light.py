"""Light and camera for made parts: a lamp at one side, a lens, a sensor."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.plates import Surface
from anomalyncd.synthetic.scenes import Scene
from anomalyncd.synthetic.shapes import Field

_SENSOR = 3
_AMBIENT = 0.45
_SHEEN_WIDTH = 0.22
_PLATE_THICKNESS = 5.0


def photograph(surface: Surface, scene: Scene) -> npt.NDArray[np.float32]:
    """Renders a surface as the camera sees it, before the sensor adds its noise.

    Args:
        surface: What lies under the camera.
        scene: The light and the lens.

    Returns:
        The picture, H x W x 3 (red, green, blue) in grey levels 0..255, gamma 2.2.
    """
    on_plate = np.clip(0.5 - np.maximum(surface.rim, -surface.holes), 0, 1)
    lamp = fall_off(scene) * np.float32(scene.exposure)
    diffuse, sheen = _reflection(surface, scene)
    diffuse, sheen = diffuse * on_plate * lamp, sheen * on_plate * lamp
    around = _belt(surface, scene) * (1 - on_plate) * lamp + sheen
    return develop([channel * diffuse + around for channel in surface.colour], scene)


def develop(linear: Sequence[Field], scene: Scene) -> npt.NDArray[np.float32]:
    """Passes light through lens and white balance, and turns it into grey levels.

    Args:
        linear: Light in red, green and blue, each H x W, 1 the brightest that the sensor tells.
        scene: Gives colour temperature and blur.

    Returns:
        The picture, H x W x 3 grey levels 0..255, gamma 2.2.
    """
    white_balance = (scene.warmth, 1.0, 1 / scene.warmth)
    balanced = cv2.merge(
        [light * np.float32(gain) for light, gain in zip(linear, white_balance, strict=True)]
    )
    balanced = cv2.GaussianBlur(balanced, (0, 0), scene.blur)
    picture: npt.NDArray[np.float32] = cv2.pow(np.clip(balanced, 0, 1), 1 / 2.2) * np.float32(255)
    return picture


def expose(picture: npt.NDArray[np.float32], scene: Scene) -> npt.NDArray[np.uint8]:
    """Adds the sensor's noise and rounds to 8 bits.

    Args:
        picture: H x W x 3 grey levels 0..255.
        scene: Gives strength and seed of the noise, so that one scene has one noise.

    Returns:
        The photograph, H x W x 3 uint8.
    """
    rng = np.random.default_rng([scene.seed, _SENSOR])
    noise = rng.standard_normal((*scene.size, 3), dtype=np.float32) * np.float32(scene.noise)
    return np.clip(picture + noise + np.float32(0.5), 0, 255).astype(np.uint8)


def _reflection(surface: Surface, scene: Scene) -> tuple[Field, Field]:
    """Lambert's law, and the sheen of the grooves where they run across the light."""
    x, y, z = scene.towards_lamp
    slope_x = cv2.filter2D(surface.height, -1, np.array([[-0.5, 0, 0.5]]))
    slope_y = cv2.filter2D(surface.height, -1, np.array([[-0.5], [0], [0.5]]))
    facing = (z - slope_x * x - slope_y * y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = _AMBIENT + (1 - _AMBIENT) * np.maximum(facing, 0) / z
    along_x, along_y = surface.grooves
    slope = along_x * slope_x + along_y * slope_y
    halfway = _SHEEN_WIDTH * math.hypot(x, y, z + 1)
    tilt = (along_x * x + along_y * y + slope * (z + 1)) / halfway
    sheen = surface.gloss * np.exp(-0.5 * tilt**2)
    return diffuse, sheen


def _belt(surface: Surface, scene: Scene) -> Field:
    """The conveyor, with the plate's shadow and the darkness in its holes."""
    x, y, z = scene.towards_lamp
    reach = -_PLATE_THICKNESS * scene.unit / z
    plate = np.clip(0.5 - surface.rim, 0, 1)
    move = np.array([[1, 0, reach * x], [0, 1, reach * y]])
    shadow = cv2.warpAffine(plate, move, scene.size[::-1], flags=cv2.INTER_LINEAR)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 2.0 * scene.unit)
    in_hole = np.clip(0.5 - surface.holes, 0, 1)
    dark: Field = surface.belt * (1 - 0.6 * shadow) * (1 - 0.5 * in_hole)
    return dark


def fall_off(scene: Scene) -> Field:
    """Brighter towards the lamp, darker in the corners."""
    height, width = scene.size
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lamp_x, lamp_y, _ = scene.towards_lamp
    light: Field = 1 + np.float32(0.14 * lamp_x) * x + np.float32(0.14 * lamp_y) * y
    return light * (1 - np.float32(0.06) * (x**2 + y**2))
