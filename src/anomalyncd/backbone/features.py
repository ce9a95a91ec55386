"""What a backbone says of whole images, read once and kept between runs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone.pixels import (
    area_sides,
    least_resolution,
    normalise,
    resize,
    to_tensor,
)
from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io.cache import TOKENS, TensorStore
from anomalyncd.io.key import content_digest, key

_FORMAT = 1
"""Grows when what is kept, or how images are prepared, changes its meaning."""


@dataclass(frozen=True)
class Reading:
    """What is wanted of each image."""

    resolution: int
    """Images enter the backbone with the area of a square of this side in pixels."""
    patch_layers: tuple[int, ...] = ()
    """Blocks, counted from 0, whose patch tokens are kept."""
    cls_layers: tuple[int, ...] = ()
    """Blocks whose CLS token is kept; no block after the last one named is run."""
    square: bool = False
    """Whether images are squeezed to that square, or keep their aspect ratio."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """What a backbone says of one image, without its final LayerNorm, on the backbone's device."""

    patches: list[Tensor]
    """For each of `Reading.patch_layers` (D, rows, columns), in the precision of the block."""
    cls: list[Tensor]
    """For each of `Reading.cls_layers` (D,)."""
    size: tuple[int, int]
    """Height and width, in pixels, of what was read of the image."""


class TokenReader:
    """Reads tokens of images, those of an earlier reading from the cache.

    They are found again by the content of the image and by all that they depend on: the weights
    that took part, precision, device, and what is wanted.

    Args:
        vit: The backbone, on its device and in its precision; it must not change meanwhile.
        reading: What is wanted of each image.

    Raises:
        InputError: The backbone has no such block; or see `cache_limit`.
    """

    def __init__(self, vit: VisionTransformer, reading: Reading) -> None:
        self.vit, self.reading = vit, reading
        self._layers = {*reading.patch_layers, *reading.cls_layers}
        if max(self._layers) >= vit.config.depth:
            raise InputError(
                f"block {max(self._layers)} cannot be read; the backbone has {vit.config.depth}, "
                "counted from 0"
            )
        self._store = TensorStore(TOKENS)

    def read(self, images: ImageSet, index: int, roi: RegionOfInterest | None = None) -> Tokens:
        """Tokens of one image.

        Args:
            images: Images.
            index: Which one.
            roi: The region of interest that is read; None reads the whole image.

        Raises:
            InputError: Its file cannot be read.
        """
        if not self._store.limit:
            return self._computed(images.image(index), roi)
        made_from = key(content_digest(images.sources[index]), roi, self._reading_key)
        tokens = self._cached(made_from)
        if tokens is None:
            tokens = self._computed(images.image(index), roi)
            self._store.save(made_from, _by_name(tokens))
        return tokens

    def _cached(self, made_from: str) -> Tokens | None:
        stored, device = self._store.load(made_from), self.vit.cls_token.device
        if stored is None:
            return None
        height, width = stored["size"].tolist()
        return Tokens(
            [stored[f"patches.{i}"].to(device) for i in range(len(self.reading.patch_layers))],
            [stored[f"cls.{i}"].to(device) for i in range(len(self.reading.cls_layers))],
            (height, width),
        )

    def _computed(self, whole: NDArray[np.uint8], roi: RegionOfInterest | None) -> Tokens:
        image = whole if roi is None else roi.cut(whole)
        size = (image.shape[0], image.shape[1])
        unit, weight = self.vit.config.patch_size, self.vit.patch_embed.proj.weight
        shape = (1, 1) if self.reading.square else size
        height, width = area_sides(shape, self.reading.resolution, unit)
        pixels = normalise(to_tensor(resize(image, height, width)[None]))
        with torch.inference_mode():
            tokens = self.vit.tokens_after(pixels.to(weight.device, weight.dtype), self._layers)
        patches = [tokens[i][0, self.vit.n_prefix :].T for i in self.reading.patch_layers]
        grid = (height // unit, width // unit)
        return Tokens(
            [one.unflatten(1, grid).contiguous() for one in patches],
            [tokens[i][0, 0].clone() for i in self.reading.cls_layers],
            size,
        )

    @cached_property
    def _reading_key(self) -> str:
        """Key of everything but the image: weights that take part, device, and what is read."""
        last = max(self._layers)
        later = tuple(f"blocks.{index}." for index in range(last + 1, self.vit.config.depth))
        state = {
            name: weight
            for name, weight in self.vit.state_dict().items()
            if not name.startswith((*later, "norm."))
        }
        device = self.vit.cls_token.device.type
        return key(_FORMAT, state, self.vit.config, device, self.reading)


def _by_name(tokens: Tokens) -> dict[str, Tensor]:
    patches = {f"patches.{i}": one.cpu() for i, one in enumerate(tokens.patches)}
    cls = {f"cls.{i}": one.cpu() for i, one in enumerate(tokens.cls)}
    return {**patches, **cls, "size": torch.tensor(tokens.size)}


def normalised(patches: Tensor) -> Tensor:
    """Tokens (D, rows, columns), normalised over the whole image (MuSc, section 3.1)."""
    return functional.layer_norm(patches, patches.shape)


def patch_reader(vit: VisionTransformer, resolution: int, config: DetectorConfig) -> TokenReader:
    """Reads the patch tokens that a detector compares, at a resolution in pixels."""
    return TokenReader(vit, Reading(resolution, config.layers))


def whole_reader(vit: VisionTransformer, config: DetectorConfig) -> TokenReader:
    """Reads whole pictures; the tokens of the last layer tell the product from the background.

    Args:
        vit: The backbone, on its device and in its precision.
        config: Resolution and layers.
    """
    return patch_reader(vit, least_resolution(config, framed=False), config)
