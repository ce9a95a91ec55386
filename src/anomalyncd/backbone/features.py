"""Tokens of whole images or of regions of interest, cached between runs."""

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
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.cache import TOKENS, TensorStore
from anomalyncd.io.key import key

_FORMAT = 2
"""To be increased whenever cached tokens change their meaning or images are prepared otherwise."""


@dataclass(frozen=True)
class Reading:
    """Which tokens are read, and at which resolution."""

    resolution: int
    """Images enter the backbone with the area of a square of this side, px."""
    patch_layers: tuple[int, ...] = ()
    """Blocks, counted from 0, whose patch tokens are read."""
    cls_layers: tuple[int, ...] = ()
    """Blocks, counted from 0, whose CLS token is read. No block after the last of both is run."""
    square: bool = False
    """Whether images are resized to that square; otherwise they keep their aspect ratio."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of one image, before the final LayerNorm, on the device of the backbone."""

    patches: list[Tensor]
    """For each of `Reading.patch_layers` (D, rows, columns), in the precision of the block."""
    cls: list[Tensor]
    """For each of `Reading.cls_layers` (D,)."""
    size: tuple[int, int]
    """Height and width of the image, or of its region of interest, px."""


class TokenReader:
    """Reads the tokens of images, from the cache where they were read before.

    Their key in the cache is made from everything that they depend on: the content of the image,
    the region of interest, the weights of the blocks that are run, their precision and device, and
    the reading.

    Args:
        vit: The backbone, on its device and in its precision. It must not change afterwards.
        reading: Which tokens are read, and at which resolution.
        cached: Whether the cache is used. Images that are read once are better read without it:
            its key takes the digest of all weights.

    Raises:
        InputError: The backbone has no such block, or the limit of the cache is not a size.
    """

    def __init__(self, vit: VisionTransformer, reading: Reading, cached: bool = True) -> None:
        self.vit, self.reading = vit, reading
        self._layers = {*reading.patch_layers, *reading.cls_layers}
        if max(self._layers) >= vit.config.depth:
            raise InputError(
                f"block {max(self._layers)} cannot be read; the backbone has {vit.config.depth}, "
                "counted from 0"
            )
        self._store = TensorStore(TOKENS) if cached else None

    def read(self, images: ImageSet, index: int, roi: RegionOfInterest | None = None) -> Tokens:
        """Reads the tokens of one image.

        Args:
            images: The image set.
            index: Index of the image.
            roi: The region of interest; None reads the whole image.

        Raises:
            InputError: The image cannot be read.
        """
        store = self._store
        if store is None or not store.limit:
            return self._compute(images.image(index), roi)
        made_from = key(images.digest(index), roi, self._reading_key)
        tokens = self._from_cache(store, made_from)
        if tokens is None:
            tokens = self._compute(images.image(index), roi)
            store.save(made_from, _as_tensors(tokens))
        return tokens

    def _from_cache(self, store: TensorStore, made_from: str) -> Tokens | None:
        stored, device = store.load(made_from), self.vit.cls_token.device
        if stored is None:
            return None
        height, width = stored["size"].tolist()
        return Tokens(
            [stored[f"patches.{i}"].to(device) for i in range(len(self.reading.patch_layers))],
            [stored[f"cls.{i}"].to(device) for i in range(len(self.reading.cls_layers))],
            (height, width),
        )

    def _compute(self, image: NDArray[np.uint8], roi: RegionOfInterest | None) -> Tokens:
        image = image if roi is None else roi.cut(image)
        size = (image.shape[0], image.shape[1])
        patch_size, weight = self.vit.config.patch_size, self.vit.patch_embed.proj.weight
        shape = (1, 1) if self.reading.square else size
        height, width = area_sides(shape, self.reading.resolution, patch_size)
        pixels = normalise(to_tensor(resize(image, height, width)[None]))
        with torch.inference_mode():
            tokens = self.vit.tokens_after(pixels.to(weight.device, weight.dtype), self._layers)
        patches = [tokens[i][0, self.vit.n_prefix :].T for i in self.reading.patch_layers]
        grid = (height // patch_size, width // patch_size)
        return Tokens(
            [layer.unflatten(1, grid).contiguous() for layer in patches],
            [tokens[i][0, 0].clone() for i in self.reading.cls_layers],
            size,
        )

    @cached_property
    def _reading_key(self) -> str:
        """Key of everything but the image: weights that take part, device and reading."""
        last = max(self._layers)
        later = tuple(f"blocks.{index}." for index in range(last + 1, self.vit.config.depth))
        weights = {
            name: weight
            for name, weight in self.vit.state_dict().items()
            if not name.startswith((*later, "norm."))
        }
        device = self.vit.cls_token.device.type
        return key(_FORMAT, weights, self.vit.config, device, self.reading)


def _as_tensors(tokens: Tokens) -> dict[str, Tensor]:
    patches = {f"patches.{i}": layer.cpu() for i, layer in enumerate(tokens.patches)}
    cls = {f"cls.{i}": layer.cpu() for i, layer in enumerate(tokens.cls)}
    return {**patches, **cls, "size": torch.tensor(tokens.size)}


def normalised(patches: Tensor) -> Tensor:
    """Normalises patch tokens (D, rows, columns) over the whole image (MuSc, section 3.1)."""
    return functional.layer_norm(patches, patches.shape)


def patch_reader(
    vit: VisionTransformer, resolution: int, config: DetectorConfig, cached: bool = True
) -> TokenReader:
    """Returns a reader of the patch tokens that a detector compares.

    Args:
        vit: The backbone, on its device and in its precision.
        resolution: Side of a square with the area at which images enter the backbone, px.
        config: The blocks.
        cached: See `TokenReader`.
    """
    return TokenReader(vit, Reading(resolution, config.layers), cached)


def whole_reader(
    vit: VisionTransformer, config: DetectorConfig, cached: bool = True
) -> TokenReader:
    """Returns a reader of whole images; the tokens of its last block locate the foreground.

    Args:
        vit: The backbone, on its device and in its precision.
        config: The resolution, if it sets one, and the blocks.
        cached: See `TokenReader`.
    """
    return patch_reader(vit, least_resolution(config, is_cut_out=False), config, cached)
