"""Procedurally made photographs of plates or bolts with defects, for demo and tests."""

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.runtime.progress import track
from anomalyncd.synthetic.light import expose
from anomalyncd.synthetic.products import (
    PRODUCTS,
    Picture,
    Product,
    ProductName,
)

KINDS: tuple[str, ...] = PRODUCTS["plates"].kinds
"""Names of the defect kinds of plates; those of any product are `PRODUCTS[product].kinds`."""
MADE_SIZE = PRODUCTS["plates"].size
"""Height and width in px of pictures of plates, unless told otherwise."""

_SMALLEST_SIDE = 96
_VISIBLE_GREY_LEVELS = 5
# first words of seeds, so that no two pictures share a random stream
_TRAIN, _NORMAL, _COMBINED, _FIRST_KIND = 0, 1, 2, 3


def synthetic_image(
    kinds: tuple[str, ...],
    seed: int,
    size: tuple[int, int] | None = None,
    product: ProductName = "plates",
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Makes the photograph of one part.

    Args:
        kinds: Its defects, some of the product's; none for a normal part. Outside the mask the
            picture is that of the normal part of the same seed, to within a few grey levels.
        seed: Any non-negative integer.
        size: Height and width in px; by default the product's.
        product: What the part is.

    Returns:
        The photograph, H x W x 3 uint8 (red, green, blue), and the mask, H x W bool, of the pixels
        that the defects changed visibly.

    Raises:
        InputError: The product or a kind is unknown, the seed negative or the size too small.

    Our own.
    """
    made = _find(product)
    size = size or made.size
    _check(made, kinds, seed, size)
    scene = made.draw_scene(seed, size)
    sound, damaged = made.photograph(scene, kinds)
    mask = _changed(sound, damaged) if kinds else np.zeros(size, bool)
    return expose(damaged, scene), mask


def make_synthetic_images(
    folder: Path,
    n_per_kind: int = 20,
    n_normal: int = 60,
    n_combined: int = 8,
    n_train: int = 30,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    product: ProductName = "plates",
) -> Path:
    """Makes a set of parts in the layout of MVTec AD, with `parts.csv` beside it.

    The table has a row for each picture: path, kinds joined by `+` (`good` for normal parts),
    direction of the light and rotation of the part in degrees anticlockwise. A picture depends
    only on product and seed, its class and its number. The folder appears when all is written.

    Args:
        folder: A folder that does not exist yet, or is empty.
        n_per_kind: Test pictures of each kind of defect.
        n_normal: Test pictures of normal parts, `test/good`.
        n_combined: Test pictures of parts with two kinds, `test/combined`.
        n_train: Pictures of further normal parts, `train/good`.
        size: Height and width in px; by default the product's.
        seed: Any non-negative integer.
        product: What to make: milled plates, which lie upright or upside down, or coach bolts in
            any rotation, whose defects take less than 1 % of the picture.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds something, the product is unknown, the seed is negative or
            the size too small.

    Our own.
    """
    chosen = _find(product)
    _check(chosen, (), seed, size or chosen.size)
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"'{folder}' holds something already; name a new or empty folder")
    orders = list(_orders(chosen.kinds, n_per_kind, n_normal, n_combined, n_train, seed))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as workshop:
        made = Path(workshop) / "parts"
        rows = [_write(made, order, size, product) for order in track(orders, "Making parts")]
        with (made / "parts.csv").open("w", newline="", encoding="utf-8") as table:
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(("path", "kinds", "light", "rotation"))
            writer.writerows(rows)
        if folder.exists():
            folder.rmdir()
        made.replace(folder)
    return folder


@dataclass(frozen=True)
class _Order:
    """One picture to be made."""

    split: str
    label: str
    number: int
    kinds: tuple[str, ...]
    seed: int


def _orders(
    kinds: tuple[str, ...],
    n_per_kind: int,
    n_normal: int,
    n_combined: int,
    n_train: int,
    seed: int,
) -> Iterator[_Order]:
    def part_seed(group: int, number: int) -> int:
        words = np.random.SeedSequence([seed, group, number]).generate_state(1, np.uint64)
        return int(words[0])

    for number in range(n_train):
        yield _Order("train", "good", number, (), part_seed(_TRAIN, number))
    for number in range(n_normal):
        yield _Order("test", "good", number, (), part_seed(_NORMAL, number))
    for index, kind in enumerate(kinds):
        for number in range(n_per_kind):
            yield _Order("test", kind, number, (kind,), part_seed(_FIRST_KIND + index, number))
    for number in range(n_combined):
        own = part_seed(_COMBINED, number)
        first, second = sorted(np.random.default_rng(own).permutation(len(kinds))[:2])
        yield _Order("test", "combined", number, (kinds[first], kinds[second]), own)


def _write(
    root: Path, order: _Order, size: tuple[int, int] | None, product: ProductName
) -> tuple[str, str, str, str]:
    image, mask = synthetic_image(order.kinds, order.seed, size, product)
    path = f"{order.split}/{order.label}/{order.number:03}.png"
    _save_png(root / path, image)
    if order.kinds:
        _save_png(
            root / "ground_truth" / order.label / f"{order.number:03}_mask.png",
            mask.astype(np.uint8) * 255,
        )
    scene = PRODUCTS[product].draw_scene(order.seed, mask.shape)
    kinds = "+".join(order.kinds) or "good"
    return path, kinds, f"{scene.light % 360:.1f}", f"{scene.rotation % 360:.1f}"


def _save_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, format="PNG", compress_level=1)


def _changed(sound: Picture, damaged: Picture) -> npt.NDArray[np.bool_]:
    change = np.maximum.reduce(cv2.split(cv2.absdiff(damaged, sound))) > _VISIBLE_GREY_LEVELS
    # closes the pores of grainy defects, as a person who draws the mask would; OpenCV's closing
    # treats the outside of the picture as neutral, so that nothing grows at the border
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask: npt.NDArray[np.bool_] = (
        cv2.morphologyEx(change.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    )
    return mask


def _find(product: str) -> Product:
    for name, made in PRODUCTS.items():
        if name == product:
            return made
    raise InputError(f"product {product!r} is unknown; use one of {', '.join(PRODUCTS)}")


def _check(made: Product, kinds: tuple[str, ...], seed: int, size: tuple[int, int]) -> None:
    for kind in kinds:
        if kind not in made.kinds:
            known = ", ".join(made.kinds)
            raise InputError(f"defect kind {kind!r} is unknown; use some of {known}")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; use 0 or more")
    if min(size) < _SMALLEST_SIDE:
        raise InputError(f"size {size} is too small; use at least {_SMALLEST_SIDE} px a side")
