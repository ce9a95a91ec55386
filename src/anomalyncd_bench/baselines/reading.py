"""Reads whole images for the baselines, once for all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone.features import Reading, TokenReader
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import PRESETS, CropConfig
from anomalyncd.embedding.base_regions import BaseRegions
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.region_store import fill_token_store
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.regions.crops import Crop
from anomalyncd.runtime.measurement import Stages
from anomalyncd.runtime.progress import track
from anomalyncd_bench.baselines.inputs import ImageTokens, LabelledTokens, TrainingViews

_SIDE = 224
"""Side of the square, px, to which whole images are resized for their CLS token."""
_RESOLUTION = 336
"""For patch tokens, images get the area of a square of this side, px, as in the detectors."""
_CLS_SHARE = 2 / 3
"""Share of the blocks after which a frozen CLS token is read: after block 7 of 12, counted from 0.
There k-means had the highest mean NMI over bottle, pill and plates, by their labels."""
_PATCH_BLOCKS = (5, 8)
"""Middle blocks, since AC and UniFormaly use middle layers."""
UNGUIDED = replace(PRESETS["paper"].encoder, guidance="none")
"""Reads the CLS token after the last block alone."""


@dataclass(frozen=True, eq=False)
class PatchTokens:
    """Patch tokens of some blocks, read when they are used, or taken from the cache."""

    vit: VisionTransformer
    images: ImageSet
    blocks: tuple[int, ...]

    @cached_property
    def _reader(self) -> TokenReader:
        return TokenReader(self.vit, Reading(_RESOLUTION, patch_layers=self.blocks))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        """(blocks, D, rows, columns), float32, every token normalised, on the CPU."""
        tokens = self._reader.read(self.images, index).patches
        stacked = torch.stack([one.float().cpu() for one in tokens]).movedim(1, -1)
        return functional.layer_norm(stacked, stacked.shape[-1:]).movedim(-1, 1)


def read_images(
    vit: VisionTransformer, images: ImageSet, patch_blocks: tuple[int, ...] = _PATCH_BLOCKS
) -> ImageTokens:
    """Reads CLS tokens now and patch tokens when they are used.

    Args:
        vit: The backbone, untrained, on its device and in its precision.
        images: Images; for CLS tokens each is resized to 224 x 224 px, for patch tokens it keeps
            its aspect ratio and gets the area of 336 x 336 px.
        patch_blocks: Blocks whose patch tokens are read, counted from 0.

    Raises:
        InputError: An image cannot be read.
    """
    return ImageTokens(_read_cls(vit, images), PatchTokens(vit, images, patch_blocks))


def read_base_images(vit: VisionTransformer, base: BaseSet) -> LabelledTokens:
    """Reads CLS tokens of a base set, see `read_images`; its masks are not used."""
    return LabelledTokens(_read_cls(vit, base.images), base.labels, len(base.class_names))


def _read_cls(vit: VisionTransformer, images: ImageSet) -> NDArray[np.float32]:
    """CLS tokens after two thirds of the blocks and the final LayerNorm, (N, D)."""
    block = round(_CLS_SHARE * vit.config.depth) - 1
    reader = TokenReader(vit, Reading(_SIDE, cls_layers=(block,), square=True))
    indices = track(range(len(images)), "Reading whole images")
    tokens = torch.stack([reader.read(images, index).cls[0] for index in indices])
    with torch.inference_mode():
        cls: NDArray[np.float32] = vit.norm(tokens.to(vit.norm.weight.dtype)).float().cpu().numpy()
    return cls


def read_views(
    vit: VisionTransformer, images: ImageSet, base: BaseSet | None, config: CropConfig, folder: Path
) -> TrainingViews:
    """Runs the frozen blocks over augmented views of whole images, with seed 0.

    Args:
        vit: The backbone, on its device; its last block and its final norm in float32.
        images: Images; each is resized to a square.
        base: Labelled images of other products, or None.
        config: Sizes, number of views and strength of augmentation.
        folder: Where tokens are written that are too large for memory.
    """
    encoder = RegionEncoder(vit, UNGUIDED)
    whole = replace(PRESETS["paper"], encoder=UNGUIDED, crops=config)
    context = RunContext(encoder, whole, 0, folder, Stages())
    tokens = fill_token_store(context, _whole(images, config.load_size), len(images))
    if base is None:
        return TrainingViews(encoder, tokens)
    crops = _whole(base.images, config.load_size)
    context = replace(context, folder=folder / "base")
    known = fill_token_store(context, crops, len(base.images))
    return TrainingViews(encoder, tokens, BaseRegions(known, base.labels, len(base.class_names)))


def _whole(images: ImageSet, side: int) -> Iterator[Crop]:
    """Each image as a square crop with an empty mask."""
    nothing = np.zeros((side, side), np.float32)
    for index in range(len(images)):
        image = images.image(index)
        method = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
        yield Crop(np.asarray(cv2.resize(image, (side, side), interpolation=method)), nothing)
