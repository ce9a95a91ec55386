"""Augmented views of a region: geometry on image and masks alike, colour on the image alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from kornia import augmentation, enhance, filters
from torch import Tensor

from anomalyncd.backbone.pixels import normalise
from anomalyncd.config import CropConfig

QUARTERS = 4
_KERNELS = (9, 13, 17, 21, 25, 29, 33)
"""Sides of the kernel of the Gaussian blur, px."""


@dataclass(frozen=True)
class CropBatch:
    """A batch of square crops.

    Attributes:
        images: (B, 3, S, S), normalised where they enter the backbone.
        masks: (B, 1, S, S), 0..1, 1 on the anomaly.
        foreground: (B, 1, S, S), 0..1, 1 on the product; None where all of it is.
        maps: (B, 1, S, S), 0..1: what leads attention in place of the masks, or None.
    """

    images: Tensor
    masks: Tensor
    foreground: Tensor | None = None
    maps: Tensor | None = None

    def select(self, rows: slice) -> "CropBatch":
        """Returns some of the crops."""
        return _moved(self, lambda layers: layers[rows])


def central_view(crop: CropBatch, config: CropConfig) -> CropBatch:
    """The view that predictions are made from: the middle of each crop, nothing changed.

    Args:
        crop: Whole crops, S = `config.load_size`, colours 0..1.
        config: Sizes.
    """
    start = (config.load_size - config.size) // 2
    window = slice(start, start + config.size)
    view = _moved(crop, lambda layers: layers[..., window, window])
    return replace(view, images=normalise(view.images))


def augmented_view(crop: CropBatch, config: CropConfig) -> CropBatch:
    """One random view of each crop; draws from torch's global generator.

    Args:
        crop: Whole crops, S = `config.load_size`, colours 0..1.
        config: Sizes and strength.
    """
    view = _moved(
        crop, lambda layers: torch.stack([_random_window(one, config.size) for one in layers])
    )
    if not config.colour:
        return replace(view, images=normalise(view.images))
    return replace(view, images=normalise(_colours(view.images, config.colour)))


def rotations(view: CropBatch, n_rotations: int) -> Iterator[CropBatch]:
    """The same view in quarter turns, as it is first, then mirrored in quarter turns.

    Args:
        view: As it enters the backbone.
        n_rotations: How many of these, 1..8.
    """
    for rotation in range(n_rotations):
        yield _moved(view, partial(_rotated, rotation=rotation))


def _rotated(layers: Tensor, rotation: int) -> Tensor:
    mirrored = layers if rotation < QUARTERS else layers.flip(-1)
    return torch.rot90(mirrored, rotation % QUARTERS, (-2, -1))


def _moved(crop: CropBatch, move: Callable[[Tensor], Tensor]) -> CropBatch:
    """The same geometry for everything that a view holds; `move` maps (B, C, S, S) to another S."""
    layers = {field.name: getattr(crop, field.name) for field in fields(CropBatch)}
    held = {name: layer for name, layer in layers.items() if layer is not None}
    moved = move(torch.cat(list(held.values()), dim=1))
    split = moved.split([layer.shape[1] for layer in held.values()], dim=1)
    return CropBatch(**dict(zip(held, split, strict=True)))


def _random_window(crop: Tensor, size: int) -> Tensor:
    space = crop.shape[-1] - size + 1
    top, left = torch.randint(space, (2,)).tolist()
    window = crop[:, top : top + size, left : left + size]
    if torch.rand(()) < 0.5:
        window = window.flip(-1)
    return torch.rot90(window, int(torch.randint(QUARTERS, ())), (-2, -1))


def _colours(images: Tensor, strength: float) -> Tensor:
    """Changes colours as the published code does, each image by factors of its own.

    Brightness, contrast and saturation in random order as in torchvision, then sharpness, Gaussian
    blur and posterisation; each is always applied. Below strength 1 the ranges shrink towards "no
    change".

    Args:
        images: (B, 3, S, S), 0..1.
        strength: 0..1.
    """

    def around_one(low: float, high: float) -> tuple[float, float]:
        return 1 - strength * (1 - low), 1 + strength * (high - 1)

    jitter = augmentation.ColorJitter(
        around_one(0.6, 1.4), around_one(0.6, 1.4), around_one(0.6, 1.8)
    )
    low, high = around_one(0.2, 2.0)
    factors = torch.empty(len(images)).uniform_(low, high)
    sharpened = enhance.sharpness(jitter(images), factors)
    return torch.stack([_posterised(_blurred(one, strength), strength) for one in sharpened])


def _blurred(image: Tensor, strength: float) -> Tensor:
    kernel = _KERNELS[int(torch.randint(len(_KERNELS), ()))]
    sigma = max(strength * float(torch.empty(()).uniform_(0.1, 2.0)), 1e-3)
    blurred: Tensor = filters.gaussian_blur2d(image[None], (kernel, kernel), (sigma, sigma))[0]
    return blurred


def _posterised(image: Tensor, strength: float) -> Tensor:
    """Keeps the highest 5 to 8 of the 8 bits of each colour."""
    step = 1 << round(strength * int(torch.randint(4, ())))
    return (image * 255).round().div(step, rounding_mode="floor") * step / 255
