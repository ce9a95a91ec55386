"""The surface of a synthetic product: relief, colour and gloss, and two ways of damaging it."""

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.shapes import Field, Point, oval, smooth_noise


@dataclass(frozen=True)
class Surface:
    """What the light meets; lengths and heights in px."""

    height: Field
    """Relief, positive towards the camera."""
    colour: npt.NDArray[np.float32]
    """Diffuse reflectance, 3 (red, green, blue) x H x W, linear."""
    gloss: Field
    """Strength of what the metal mirrors."""
    unit: float
    """Px of this surface for one px of the design size."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.height.shape[0], self.height.shape[1]

    @property
    def metal(self) -> npt.NDArray[np.bool_]:
        """The pixels that show metal."""
        return np.ones(self.size, bool)


AnySurface = TypeVar("AnySurface", bound=Surface)


def slopes(height: Field) -> tuple[Field, Field]:
    """Returns the slope of a relief in x and in y."""
    return (
        cv2.filter2D(height, -1, np.array([[-0.5, 0, 0.5]])),
        cv2.filter2D(height, -1, np.array([[-0.5], [0], [0.5]])),
    )


def engrave(
    surface: AnySurface, strokes: Field, depth: float, tone: float, scale: float
) -> AnySurface:
    """Cuts grooves with raised edges into a surface.

    Args:
        surface: The surface.
        strokes: The share of each pixel that a groove fills, 0 to 1.
        depth: Depth of the grooves in px.
        tone: Relative change of the colour in the grooves.
        scale: Px for one px of the design size.

    Returns:
        The surface with grooves.
    """
    ridges = cv2.GaussianBlur(strokes, (0, 0), 1.6 * scale)
    return replace(
        surface,
        height=surface.height - np.float32(depth) * (strokes - 0.6 * ridges),
        colour=surface.colour * (1 + np.float32(tone) * strokes),
    )


def corrode(
    surface: AnySurface, spot: Point, radius: float, scale: float, rng: np.random.Generator
) -> AnySurface:
    """Adds a cluster of dull, red-brown grains, dense in the middle and sparse at its border.

    Args:
        surface: The surface; only its metal rusts.
        spot: Middle of the cluster.
        radius: Radius of the cluster in px.
        scale: Px for one px of the design size.
        rng: Source of the random numbers.

    Returns:
        The surface with rust.
    """
    size, metal = surface.size, surface.metal
    distance = oval(size, spot, radius, rng.uniform(0.5, 1), rng.uniform(0, 3))
    distance += 0.25 * smooth_noise(rng, size, 7 * scale)
    grains = smooth_noise(rng, size, 1.7 * scale) + 0.5 * smooth_noise(rng, size, 4 * scale)
    dense = np.clip(1.3 * (grains + 1.2 - 2.2 * distance), 0, 1)
    rusty = metal & (distance < 1.5)
    cover = (rng.uniform(0.45, 0.85) * dense * rusty).astype(np.float32)
    mixed = np.clip(0.5 + 0.4 * smooth_noise(rng, size, 3 * scale), 0, 1)
    oxide = mixed * planes([0.24, 0.10, 0.04]) + (1 - mixed) * planes([0.10, 0.045, 0.025])
    halo = np.exp(-0.5 * (distance / 0.6) ** 2) * metal
    tinge = 1 - halo * planes([0.04, 0.12, 0.2])
    return replace(
        surface,
        height=surface.height + np.float32(0.12 * scale) * grains * cover,
        colour=surface.colour * tinge * (1 - cover) + oxide * cover,
        gloss=surface.gloss * (1 - cover),
    )


def planes(rgb: list[float]) -> npt.NDArray[np.float32]:
    """Shapes a colour so that it can be broadcast with 3 x H x W."""
    return np.array(rgb, np.float32)[:, None, None]
