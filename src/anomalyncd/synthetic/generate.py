"""Synthetic images of products with defects, for the demo and for tests."""

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from anomalyncd.synthetic.products import PRODUCTS, Product, ProductName
from anomalyncd.synthetic.scenes import Rendering, expose

_TABLE = "images.csv"
_SMALLEST_SIDE = 96
_VISIBLE_GREY_LEVELS = 5
# Words of the seeds, so that no two images share a random stream.
_TRAIN, _NORMAL, _COMBINED, _FIRST_KIND = 0, 1, 2, 3


def synthetic_image(
    kinds: tuple[str, ...],
    seed: int,
    size: tuple[int, int] | None = None,
    product: ProductName = "plates",
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Makes one image of a product.

    Args:
        kinds: The kinds of its defects, without any for a normal product. Outside the mask the
            image equals that of the normal product of the same seed to within a few grey levels.
        seed: Any non-negative integer.
        size: Height and width in px; by default those of the product.
        product: What the image shows.

    Returns:
        The image, H x W x 3 uint8 (red, green, blue), and the mask, H x W bool, of the pixels
        that the defects changed visibly.

    Raises:
        ValueError: The product or a kind is unknown, the seed is negative, or the size too small.
    """
    chosen = _checked(product, kinds, seed, size)
    size = size or chosen.size
    scene = chosen.draw_scene(seed, size)
    normal, damaged = chosen.photograph(scene, kinds)
    mask = _changed(normal, damaged) if kinds else np.zeros(size, bool)
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
    """Writes a set of images in the layout of MVTec AD, with the table `images.csv`.

    The table has one row for each image: its path, its kinds joined by `+` (`good` for a normal
    product), and the direction of the light and the rotation of the product in degrees
    anticlockwise. An image depends only on product, seed, kind and number. The folder appears
    once everything is written.

    Args:
        folder: A folder that does not exist yet, or is empty.
        n_per_kind: Number of test images of each kind of defect.
        n_normal: Number of normal test images, `test/good`.
        n_combined: Number of test images with two kinds of defects, `test/combined`.
        n_train: Number of further normal images, `train/good`.
        size: Height and width in px; by default those of the product.
        seed: Any non-negative integer.
        product: What the images show: milled plates, which lie upright or upside down; coach
            bolts in any rotation, whose defects cover less than 1 % of the image; fabric that
            fills the image; labels, which are always upright; or tubs seen from one of four
            sides, whose two kinds of defects return at the same place of every tub.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder is not empty.
        ValueError: The product is unknown, the seed is negative, or the size too small.
    """
    kinds = _checked(product, (), seed, size).kinds
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"'{folder}' is not empty; name a new or empty folder")
    planned = list(_plan(kinds, (n_per_kind, n_normal, n_combined, n_train), seed))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as workshop:
        new = Path(workshop) / "images"
        new.mkdir()
        rows = [_write(new, image, size, product) for image in planned]
        with (new / _TABLE).open("w", newline="", encoding="utf-8") as table:
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(("path", "kinds", "light", "rotation"))
            writer.writerows(rows)
        if folder.exists():
            folder.rmdir()
        new.replace(folder)
    return folder


@dataclass(frozen=True)
class _Planned:
    """One image to be made."""

    split: str
    label: str
    number: int
    kinds: tuple[str, ...]
    seed: int


def _plan(
    kinds: tuple[str, ...], counts: tuple[int, int, int, int], seed: int
) -> Iterator[_Planned]:
    def image_seed(group: int, number: int) -> int:
        words = np.random.SeedSequence([seed, group, number]).generate_state(1, np.uint64)
        return int(words[0])

    n_per_kind, n_normal, n_combined, n_train = counts
    for number in range(n_train):
        yield _Planned("train", "good", number, (), image_seed(_TRAIN, number))
    for number in range(n_normal):
        yield _Planned("test", "good", number, (), image_seed(_NORMAL, number))
    for index, kind in enumerate(kinds):
        for number in range(n_per_kind):
            yield _Planned("test", kind, number, (kind,), image_seed(_FIRST_KIND + index, number))
    for number in range(n_combined):
        combined = image_seed(_COMBINED, number)
        first, second = sorted(np.random.default_rng(combined).permutation(len(kinds))[:2])
        yield _Planned("test", "combined", number, (kinds[first], kinds[second]), combined)


def _write(
    root: Path, planned: _Planned, size: tuple[int, int] | None, product: ProductName
) -> tuple[str, str, str, str]:
    """Writes an image and its mask, and returns the image's row of the table."""
    image, mask = synthetic_image(planned.kinds, planned.seed, size, product)
    path = f"{planned.split}/{planned.label}/{planned.number:03}.png"
    _save_png(root / path, image)
    if planned.kinds:
        mask_path = f"ground_truth/{planned.label}/{planned.number:03}_mask.png"
        _save_png(root / mask_path, mask.astype(np.uint8) * 255)
    scene = PRODUCTS[product].draw_scene(planned.seed, mask.shape)
    kinds = "+".join(planned.kinds) or "good"
    return path, kinds, f"{scene.light % 360:.1f}", f"{scene.rotation % 360:.1f}"


def _save_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, format="PNG", compress_level=1)


def _changed(normal: Rendering, damaged: Rendering) -> npt.NDArray[np.bool_]:
    change = np.maximum.reduce(cv2.split(cv2.absdiff(damaged, normal))) > _VISIBLE_GREY_LEVELS
    # Closing fills the pores of grainy defects, as a person who draws the mask would. OpenCV
    # treats the outside of the image as neutral, so that nothing grows at the border.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(change.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    mask: npt.NDArray[np.bool_] = closed > 0
    return mask


def _checked(
    product: str, kinds: tuple[str, ...], seed: int, size: tuple[int, int] | None
) -> Product:
    """Returns a product, or raises if such an image cannot be made."""
    chosen = next((value for name, value in PRODUCTS.items() if name == product), None)
    if chosen is None:
        raise ValueError(f"product {product!r} is unknown; use one of {', '.join(PRODUCTS)}")
    for kind in kinds:
        if kind not in chosen.kinds:
            known = ", ".join(chosen.kinds)
            raise ValueError(f"defect kind {kind!r} is unknown; use some of {known}")
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; use 0 or more")
    if size and min(size) < _SMALLEST_SIDE:
        raise ValueError(f"size {size} is too small; use at least {_SMALLEST_SIDE} px a side")
    return chosen
