"""Augmented views of a region: geometry on image and masks alike, colour on the image alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial

import kornia.augmentation as augmentation
import torch
from torch import Tensor, nn

from anomalyncd.backbone.pixels import normalise
from anomalyncd.config import CropConfig

QUARTERS = 4


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
    return replace(view, images=normalise(_colours(config.colour)(view.images)))


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


def _colours(strength: float) -> nn.Module:
    """Ranges of the published code at strength 1, drawn towards "no change" below."""

    def around_one(low: float, high: float) -> tuple[float, float]:
        return 1 - strength * (1 - low), 1 + strength * (high - 1)

    colours: nn.Module = augmentation.ImageSequential(
        augmentation.ColorJiggle(
            brightness=around_one(0.6, 1.4),
            contrast=around_one(0.6, 1.4),
            saturation=around_one(0.6, 1.8),
            p=0.8,
        ),
        augmentation.RandomSharpness(around_one(0.2, 2.0), p=0.5 * strength),
        augmentation.RandomGaussianBlur((33, 33), (1.7, 5.3), p=0.2 * strength),
        augmentation.RandomPosterize((5, 8), p=0.2 * strength),
    )
    return colours
