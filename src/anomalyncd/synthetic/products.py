"""The products that can be made: plates, and bolts in any rotation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.bolt_defects import BOLT_DEFECTS
from anomalyncd.synthetic.bolt_light import lay_paper, photograph_bolt
from anomalyncd.synthetic.bolts import lay_bolt
from anomalyncd.synthetic.light import photograph
from anomalyncd.synthetic.plate_defects import DEFECTS, pick_spot
from anomalyncd.synthetic.plates import lay_plate
from anomalyncd.synthetic.scenes import Scene, draw_scene
from anomalyncd.synthetic.shapes import Point

ProductName = Literal["plates", "bolts"]
"""What can be made."""
Picture = npt.NDArray[np.float32]
"""H x W x 3 (red, green, blue) in grey levels 0..255, before the sensor's noise."""

_DAMAGE = 4
_FINER_LENS = 0.6


@dataclass(frozen=True)
class Product:
    """How one product is made."""

    kinds: tuple[str, ...]
    """Names of its defect kinds; each is a folder of the made parts."""
    size: tuple[int, int]
    """Height and width in px of its pictures, unless told otherwise."""
    draw_scene: Callable[[int, tuple[int, int]], Scene]
    """Draws from a seed how a part of a size lies, is lit and is photographed."""
    photograph: Callable[[Scene, tuple[str, ...]], tuple[Picture, Picture]]
    """Pictures of the sound part of a scene, and of the same part with defects of some kinds."""


def _photograph_plate(scene: Scene, kinds: tuple[str, ...]) -> tuple[Picture, Picture]:
    surface = lay_plate(scene)
    sound = photograph(surface, scene)
    spots: list[Point] = []
    for kind in kinds:
        rng = _damage(scene, kind, DEFECTS)
        spots.append(pick_spot(surface, kind, spots, scene.unit, rng))
        surface = DEFECTS[kind](surface, spots[-1], scene.unit, rng)
    return sound, photograph(surface, scene) if kinds else sound


def _photograph_bolt(scene: Scene, kinds: tuple[str, ...]) -> tuple[Picture, Picture]:
    bolt, paper = lay_bolt(scene), lay_paper(scene)
    sound = photograph_bolt(bolt, paper, scene)
    taken: list[float] = []
    for kind in kinds:
        bolt = BOLT_DEFECTS[kind](bolt, taken, _damage(scene, kind, BOLT_DEFECTS))
    return sound, photograph_bolt(bolt, paper, scene) if kinds else sound


def _draw_bolt_scene(seed: int, size: tuple[int, int]) -> Scene:
    scene = draw_scene(seed, size, any_rotation=True, reach=12)
    return replace(scene, blur=_FINER_LENS * scene.blur)


def _damage(scene: Scene, kind: str, kinds: Iterable[str]) -> np.random.Generator:
    return np.random.default_rng([scene.seed, _DAMAGE, list(kinds).index(kind)])


PRODUCTS: dict[ProductName, Product] = {
    "plates": Product(tuple(DEFECTS), (288, 384), draw_scene, _photograph_plate),
    "bolts": Product(tuple(BOLT_DEFECTS), (512, 512), _draw_bolt_scene, _photograph_bolt),
}
"""What can be made, by its name."""
