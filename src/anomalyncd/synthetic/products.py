"""The synthetic products: plates, bolts in any rotation, fabric, labels, tubs from four sides."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

import numpy as np

from anomalyncd.synthetic.bolt_defects import BOLT_DEFECTS
from anomalyncd.synthetic.bolt_light import lay_paper, photograph_bolt
from anomalyncd.synthetic.bolts import lay_bolt
from anomalyncd.synthetic.fabric import lay_cloth, photograph_cloth
from anomalyncd.synthetic.fabric_defects import FABRIC_DEFECTS
from anomalyncd.synthetic.label_defects import LABEL_DEFECTS
from anomalyncd.synthetic.labels import lay_label, photograph_label
from anomalyncd.synthetic.plate_defects import PLATE_DEFECTS, pick_spot
from anomalyncd.synthetic.plate_light import photograph_plate
from anomalyncd.synthetic.plates import lay_plate
from anomalyncd.synthetic.scenes import Rendering, Scene, draw_scene
from anomalyncd.synthetic.shapes import Point
from anomalyncd.synthetic.tub_defects import TUB_DEFECTS
from anomalyncd.synthetic.tubs import draw_tub_scene, lay_tub, photograph_tub

ProductName = Literal["plates", "bolts", "fabric", "labels", "tubs"]

_DAMAGE = 4  # second word of the seeds
_FINER_LENS = 0.6

Made = TypeVar("Made")


@dataclass(frozen=True)
class Product:
    """How images of one product are made."""

    kinds: tuple[str, ...]
    """Names of its kinds of defects."""
    size: tuple[int, int]
    """Default height and width of its images in px."""
    draw_scene: Callable[[int, tuple[int, int]], Scene]
    """Draws a scene from a seed and the size of the image."""
    photograph: Callable[[Scene, tuple[str, ...]], tuple[Rendering, Rendering]]
    """Renders the normal product of a scene, and the same product with defects of some kinds."""


def _photograph_plate(scene: Scene, kinds: tuple[str, ...]) -> tuple[Rendering, Rendering]:
    plate = lay_plate(scene)
    normal = photograph_plate(plate, scene)
    spots: list[Point] = []
    for kind in kinds:
        rng = _damage_rng(scene, kind, PLATE_DEFECTS)
        spots.append(pick_spot(plate, kind, spots, rng))
        plate = PLATE_DEFECTS[kind](plate, spots[-1], rng)
    return normal, photograph_plate(plate, scene) if kinds else normal


def _photograph_bolt(scene: Scene, kinds: tuple[str, ...]) -> tuple[Rendering, Rendering]:
    bolt, paper = lay_bolt(scene), lay_paper(scene)
    normal = photograph_bolt(bolt, paper, scene)
    taken: list[float] = []
    for kind in kinds:
        bolt = BOLT_DEFECTS[kind](bolt, taken, _damage_rng(scene, kind, BOLT_DEFECTS))
    return normal, photograph_bolt(bolt, paper, scene) if kinds else normal


def _photographed(
    lay: Callable[[Scene], Made],
    photograph: Callable[[Made, Scene], Rendering],
    defects: Mapping[str, Callable[[Made, list[Point], np.random.Generator], Made]],
) -> Callable[[Scene, tuple[str, ...]], tuple[Rendering, Rendering]]:
    """Joins the three parts of a product."""

    def photographed(scene: Scene, kinds: tuple[str, ...]) -> tuple[Rendering, Rendering]:
        made = lay(scene)
        normal = photograph(made, scene)
        taken: list[Point] = []
        for kind in kinds:
            made = defects[kind](made, taken, _damage_rng(scene, kind, defects))
        return normal, photograph(made, scene) if kinds else normal

    return photographed


def _draw_bolt_scene(seed: int, size: tuple[int, int]) -> Scene:
    scene = draw_scene(seed, size, any_rotation=True, reach=12)
    return replace(scene, blur=_FINER_LENS * scene.blur)


def _damage_rng(scene: Scene, kind: str, kinds: Iterable[str]) -> np.random.Generator:
    return np.random.default_rng([scene.seed, _DAMAGE, list(kinds).index(kind)])


PRODUCTS: dict[ProductName, Product] = {
    "plates": Product(tuple(PLATE_DEFECTS), (288, 384), draw_scene, _photograph_plate),
    "bolts": Product(tuple(BOLT_DEFECTS), (512, 512), _draw_bolt_scene, _photograph_bolt),
    "fabric": Product(
        tuple(FABRIC_DEFECTS),
        (384, 384),
        partial(draw_scene, upright=3),
        _photographed(lay_cloth, photograph_cloth, FABRIC_DEFECTS),
    ),
    "labels": Product(
        tuple(LABEL_DEFECTS),
        (320, 448),
        partial(draw_scene, reach=1.5, upright=0.5),
        _photographed(lay_label, photograph_label, LABEL_DEFECTS),
    ),
    "tubs": Product(
        tuple(TUB_DEFECTS),
        (384, 384),
        draw_tub_scene,
        _photographed(lay_tub, photograph_tub, TUB_DEFECTS),
    ),
}
"""The products by their names."""
