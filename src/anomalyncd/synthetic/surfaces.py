"""The skin of a made part, whatever its form: relief, colour and gloss, and what wears it."""

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.shapes import (
    Field,
    Point,
    oval,
    smooth_noise,
)


@dataclass(frozen=True)
class Skin:
    """What light meets on a part; heights in px."""

    height: Field
    """Relief, positive towards the camera."""
    colour: npt.NDArray[np.float32]
    """Diffuse reflectance, 3 (red, green, blue) x H x W, linear."""
    gloss: Field
    """Strength of what the metal mirrors."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.height.shape[0], self.height.shape[1]


AnySkin = TypeVar("AnySkin", bound=Skin)


def engrave(skin: AnySkin, strokes: Field, depth: float, tone: float, unit: float) -> AnySkin:
    """Cuts grooves with raised lips and of brighter or duller metal.

    Args:
        skin: The skin.
        strokes: How much of each pixel a groove fills, 0..1.
        depth: Depth of the grooves in px.
        tone: Relative change of the colour in them.
        unit: Picture px for one px of the design size.

    Returns:
        The scratched skin.
    """
    ridges = cv2.GaussianBlur(strokes, (0, 0), 1.6 * unit)
    return replace(
        skin,
        height=skin.height - np.float32(depth) * (strokes - 0.6 * ridges),
        colour=skin.colour * (1 + np.float32(tone) * strokes),
    )


def corrode(
    skin: AnySkin,
    metal: npt.NDArray[np.bool_],
    spot: Point,
    radius: float,
    unit: float,
    rng: np.random.Generator,
) -> AnySkin:
    """Adds a cluster of red-brown grains, dense in the middle, thinning out, dull and rough.

    Args:
        skin: The skin.
        metal: Where it can rust.
        spot: Middle of the cluster.
        radius: Its radius in px.
        unit: Picture px for one px of the design size.
        rng: Source of the numbers.

    Returns:
        The rusty skin.
    """
    size = skin.size
    distance = oval(size, spot, radius, rng.uniform(0.5, 1), rng.uniform(0, 3))
    distance += 0.25 * smooth_noise(rng, size, 7 * unit)
    grains = smooth_noise(rng, size, 1.7 * unit) + 0.5 * smooth_noise(rng, size, 4 * unit)
    dense = np.clip(1.3 * (grains + 1.2 - 2.2 * distance), 0, 1)
    rusty = metal & (distance < 1.5)
    cover = (rng.uniform(0.45, 0.85) * dense * rusty).astype(np.float32)
    mixed = np.clip(0.5 + 0.4 * smooth_noise(rng, size, 3 * unit), 0, 1)
    oxide = mixed * planes([0.24, 0.10, 0.04]) + (1 - mixed) * planes([0.10, 0.045, 0.025])
    halo = np.exp(-0.5 * (distance / 0.6) ** 2) * metal
    tinge = 1 - halo * planes([0.04, 0.12, 0.2])
    return replace(
        skin,
        height=skin.height + np.float32(0.12 * unit) * grains * cover,
        colour=skin.colour * tinge * (1 - cover) + oxide * cover,
        gloss=skin.gloss * (1 - cover),
    )


def planes(rgb: list[float]) -> npt.NDArray[np.float32]:
    """Shapes a colour to be broadcast with 3 x H x W."""
    return np.array(rgb, np.float32)[:, None, None]
