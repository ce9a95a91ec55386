"""Light on synthetic plates: one lamp on milled steel, and the conveyor below the plate."""

import math

import numpy as np

from anomalyncd.synthetic.plates import Plate
from anomalyncd.synthetic.scenes import Rendering, Scene, cast_shadow, develop, lamp_light
from anomalyncd.synthetic.shapes import Field
from anomalyncd.synthetic.surfaces import slopes

_AMBIENT = 0.45
_SHEEN_WIDTH = 0.22
_PLATE_THICKNESS = 5.0


def photograph_plate(plate: Plate, scene: Scene) -> Rendering:
    """Renders a plate as the camera sees it."""
    on_plate = np.clip(0.5 - np.maximum(plate.rim, -plate.holes), 0, 1)
    lamp = lamp_light(scene)
    diffuse, sheen = _reflection(plate, scene)
    lit = diffuse * on_plate * lamp
    around = _belt(plate, scene) * (1 - on_plate) * lamp + sheen * on_plate * lamp
    return develop([channel * lit + around for channel in plate.colour], scene)


def _reflection(plate: Plate, scene: Scene) -> tuple[Field, Field]:
    """Lambert's law, and the sheen of the grooves where they run across the light."""
    x, y, z = scene.towards_lamp
    slope_x, slope_y = slopes(plate.height)
    facing = (z - slope_x * x - slope_y * y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = _AMBIENT + (1 - _AMBIENT) * np.maximum(facing, 0) / z
    along_x, along_y = plate.grooves
    slope = along_x * slope_x + along_y * slope_y
    halfway = _SHEEN_WIDTH * math.hypot(x, y, z + 1)
    tilt = (along_x * x + along_y * y + slope * (z + 1)) / halfway
    sheen = plate.gloss * np.exp(-0.5 * tilt**2)
    return diffuse, sheen


def _belt(plate: Plate, scene: Scene) -> Field:
    """The conveyor, with the shadow of the plate and the darkness in its holes."""
    cover = np.clip(0.5 - plate.rim, 0, 1)
    shadow = cast_shadow(cover, _PLATE_THICKNESS * scene.unit, 2.0 * scene.unit, scene)
    in_hole = np.clip(0.5 - plate.holes, 0, 1)
    dark: Field = plate.belt * (1 - 0.6 * shadow) * (1 - 0.5 * in_hole)
    return dark
