"""How a made part lies, is lit and is photographed, drawn from a seed."""

import math
from dataclasses import dataclass

import numpy as np

DESIGN_HEIGHT = 288
"""Shorter side of the picture in px for which lengths are stated; other sizes scale them."""

_LAMPS = (35.0, 150.0, 265.0)
_LAYING = 0


@dataclass(frozen=True)
class Scene:
    """How one part lies, is lit and is photographed; all but the surface itself."""

    seed: int
    """Seed of everything random in the picture of the sound part."""
    size: tuple[int, int]
    """Height and width of the picture in px."""
    rotation: float
    """Anticlockwise rotation of the part in degrees, a half turn included."""
    shift: tuple[float, float]
    """Offset (x, y) in px of the part's centre from that of the picture."""
    light: float
    """Direction in the picture from which the lamp shines, degrees anticlockwise from the right."""
    elevation: float
    """Height of the lamp above the part in degrees."""
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
        """Picture px for one px of the design size."""
        return min(self.size) / DESIGN_HEIGHT

    @property
    def towards_lamp(self) -> tuple[float, float, float]:
        """Unit vector (x right, y down, z towards the camera) from the part to the lamp."""
        azimuth, height = math.radians(self.light), math.radians(self.elevation)
        flat = math.cos(height)
        return flat * math.cos(azimuth), -flat * math.sin(azimuth), math.sin(height)


def draw_scene(
    seed: int, size: tuple[int, int], any_rotation: bool = False, reach: float = 4.0
) -> Scene:
    """Draws how the part of this seed lies, is lit and is photographed.

    Args:
        seed: Any non-negative integer.
        size: Height and width of the picture in px.
        any_rotation: The part may lie in any direction; else it lies upright or upside down, to
            within 8 degrees.
        reach: How far its centre may lie from the picture's, in design px right and down.

    Returns:
        The scene; equal for equal arguments.
    """
    rng = np.random.default_rng([seed, _LAYING])
    unit = min(size) / DESIGN_HEIGHT
    # corners of a long plate would leave the picture
    tilt = 180 if any_rotation else 8 * min(1, 1.4 * min(size) / max(size))
    return Scene(
        seed=seed,
        size=size,
        rotation=float(rng.uniform(-tilt, tilt) + 180 * rng.integers(2)),
        shift=(float(rng.uniform(-reach, reach) * unit), float(rng.uniform(-reach, reach) * unit)),
        light=float(rng.choice(_LAMPS) + rng.uniform(-14, 14)),
        elevation=float(rng.uniform(34, 54)),
        exposure=float(np.exp(rng.normal(0, 0.09))),
        warmth=float(rng.normal(1.03, 0.03)),
        blur=float(rng.uniform(0.35, 0.75) * unit),
        noise=float(rng.uniform(1.4, 2.6)),
    )
