"""A milled steel plate on a conveyor: its relief, colour and outline, before light."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.scenes import Scene
from anomalyncd.synthetic.shapes import Field, rounded_rectangle, smooth_noise
from anomalyncd.synthetic.surfaces import Surface, planes

_MILLING, _DIRT = 1, 2  # second words of the seeds


@dataclass(frozen=True)
class Plate(Surface):
    """A plate in the frame of the image; all lengths in px."""

    grooves: tuple[Field, Field]
    """Unit vectors (x, y) along the milling marks."""
    rim: Field
    """Signed distance to the plate's outer edge, negative on the plate."""
    holes: Field
    """Signed distance to the nearest bolt hole, negative in the hole."""
    belt: Field
    """Reflectance of the conveyor."""

    @property
    def metal(self) -> npt.NDArray[np.bool_]:
        """The pixels inside the rim and outside the holes."""
        return self.face(0)

    def face(self, margin: float) -> npt.NDArray[np.bool_]:
        """The pixels of metal that are at least `margin` px from rim and holes."""
        return np.maximum(self.rim, -self.holes) < -margin


def lay_plate(scene: Scene) -> Plate:
    """Makes the normal plate of a scene; the seed also draws milling, lot number and dust."""
    rng = np.random.default_rng([scene.seed, _MILLING])
    across, along, to_plate = _plate_coordinates(scene)
    half_width, half_height = 0.405 * scene.size[1], 0.385 * scene.size[0]
    unit = scene.unit
    rim = rounded_rectangle(across, along, (half_width, half_height), 16 * unit)
    reach = (half_width - 26 * unit, half_height - 26 * unit)
    holes = np.hypot(np.abs(across) - reach[0], np.abs(along) - reach[1]) - 9 * unit
    marks, grooves = _milling(across, along, scene, rng)
    chamfer = -0.45 * np.maximum(0, 2.6 * unit + rim)
    countersink = -0.5 * np.maximum(0, 4.5 * unit - holes)
    height = marks + chamfer + countersink + _marking(to_plate, half_height, scene, rng)
    colour, belt = _reflectance(scene, rng)
    return Plate(
        height=height.astype(np.float32),
        colour=colour,
        gloss=np.full(scene.size, rng.uniform(0.12, 0.26), np.float32),
        unit=unit,
        grooves=grooves,
        rim=rim,
        holes=holes.astype(np.float32),
        belt=belt,
    )


def _plate_coordinates(scene: Scene) -> tuple[Field, Field, npt.NDArray[np.float64]]:
    """Each pixel's position along the plate's two axes, and the affine map, 2 x 3, to them."""
    height, width = scene.size
    cosine, sine = math.cos(math.radians(scene.rotation)), math.sin(math.radians(scene.rotation))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    centre = np.array([(width - 1) / 2 + scene.shift[0], (height - 1) / 2 + scene.shift[1]])
    to_plate = np.column_stack([turn, -turn @ centre])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across, along = (a * x + b * y + c for a, b, c in to_plate.astype(np.float32))
    return across, along, to_plate


def _milling(
    across: Field, along: Field, scene: Scene, rng: np.random.Generator
) -> tuple[Field, tuple[Field, Field]]:
    """Arcs that a face mill leaves: one profile, repeated along the path of the tool's edge."""
    unit, radius = scene.unit, 0.72 * scene.size[0]
    sine = np.clip((along - rng.uniform(-4, 4) * unit) / radius, -0.95, 0.95)
    cosine = np.sqrt(1 - sine**2)
    travel = across - radius * cosine
    step = 0.25
    positions = np.arange(float(travel.min()) - 1, float(travel.max()) + 1, step)
    pitch = rng.uniform(4.2, 5.2) * unit
    wobble = np.cumsum(rng.normal(0, 0.03, positions.size)) * np.sqrt(step)
    tooth = np.sin(2 * np.pi * (positions / pitch) + wobble)
    random = rng.standard_normal((2, positions.size))
    roughness = cv2.GaussianBlur(random[:1], (0, 0), 1.2 * unit / step)[0]
    swing = cv2.GaussianBlur(random[1:], (0, 0), 14 * unit / step)[0]
    profile = tooth * (1 + 5 * swing) + 3 * roughness
    depth = rng.uniform(0.06, 0.11) * unit
    marks = np.interp(travel, positions, profile).astype(np.float32) * np.float32(depth)
    marks *= 1 + np.float32(0.25) * smooth_noise(rng, scene.size, 22 * unit)
    # The tangent of the marks is (-sine, cosine) on the plate; here it is turned into the image.
    angle = math.radians(scene.rotation)
    tangent_x = math.sin(angle) * cosine - math.cos(angle) * sine
    tangent_y = math.cos(angle) * cosine + math.sin(angle) * sine
    return marks, (tangent_x, tangent_y)


def _marking(
    to_plate: npt.NDArray[np.float64], half_height: float, scene: Scene, rng: np.random.Generator
) -> Field:
    """Stamped type and lot number; the lot differs from plate to plate."""
    sharpness = 2.0
    text = f"AD-40  {rng.integers(1000, 10000)}"
    scale, thickness = 0.62 * sharpness * scene.unit, max(1, round(2.0 * sharpness * scene.unit))
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    pad = 4 * thickness
    plaque = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    cv2.putText(plaque, text, (pad, height + pad), font, scale, 255, thickness, cv2.LINE_AA)
    # From pixels of the image to those of the plaque, whose middle is below that of the plate.
    to_plaque = to_plate * sharpness
    to_plaque[:, 2] += (plaque.shape[1] / 2, plaque.shape[0] / 2 - 0.58 * half_height * sharpness)
    stamped: npt.NDArray[np.uint8] = cv2.warpAffine(
        plaque, to_plaque, scene.size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    depth = rng.uniform(0.8, 1.1) * scene.unit / 255
    recess: Field = -depth * cv2.GaussianBlur(stamped.astype(np.float32), (0, 0), 0.7 * scene.unit)
    return recess


def _reflectance(scene: Scene, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], Field]:
    """Reflectance of plate and conveyor, with cloudy patches, grain and harmless dust."""
    unit, size = scene.unit, scene.size
    grain = rng.standard_normal(size, dtype=np.float32)
    steel = rng.uniform(0.25, 0.30) * (1 + 0.025 * smooth_noise(rng, size, 60 * unit))
    steel *= 1 + 0.015 * smooth_noise(rng, size, 12 * unit) + 0.04 * grain
    belt = rng.uniform(0.035, 0.06) * (1 + 0.10 * smooth_noise(rng, size, 50 * unit) + 0.12 * grain)
    dirt = np.random.default_rng([scene.seed, _DIRT])
    specks = np.zeros(size, np.float32)
    for _ in range(dirt.poisson(14)):
        x, y = dirt.integers(0, size[1] * 16), dirt.integers(0, size[0] * 16)
        radius = round(dirt.uniform(0.4, 1.1) * 16 * unit)
        cv2.circle(specks, (int(x), int(y)), radius, dirt.uniform(-0.25, 0.35), -1, cv2.LINE_8, 4)
    specks = cv2.GaussianBlur(specks, (0, 0), 0.6 * unit)
    colour = planes([0.99, 1.0, 1.015]) * (steel * (1 + specks)).astype(np.float32)
    return colour, (belt * (1 + 2 * np.abs(specks))).astype(np.float32)
