"""What the frozen blocks say of every view of every region, computed once."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.pixels import to_tensor
from anomalyncd.config import Config, CropConfig
from anomalyncd.embedding.augmentation import (
    CropBatch,
    augmented_view,
    central_view,
    rotations,
)
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.writing import writing
from anomalyncd.regions.crops import Crop, Levels, Overlays, read_crops
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.device_memory import is_out_of_memory
from anomalyncd.runtime.progress import track

BATCH = 16
MAPPED = "tokens.bin"
"""File of tokens that are too many for memory."""


@dataclass(frozen=True, eq=False)
class TokenStore:
    """Frozen tokens of `R` regions in `1 + n_views` views; view 0 is the one predicted from."""

    tokens: Tensor
    """(R, 1 + n_views, T, D), bfloat16: what enters the read-out block."""
    shares: Tensor
    """(R, 1 + n_views, 3, rows, columns), float32: what each patch shows, see `region_shares`."""
    frozen: Tensor
    """(R, 1 + n_views, F), float32: pieces of the descriptor that are never trained."""
    means: Tensor | None = None
    """(R, sum of widths), float32: all pieces of the descriptor of the central view, averaged over
    its rotations; None where only the upright view is read."""

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def n_views(self) -> int:
        """Augmented views of each region."""
        return self.tokens.shape[1] - 1

    def batch(self, regions: Tensor, views: Tensor, device: torch.device) -> FrozenFeatures:
        """Looks up one view of each region named, as float32 on the device.

        Args:
            regions: Indices, (B,).
            views: Which view of each, (B,); 0 is the central one.
            device: Where to.
        """
        picked = (one[regions, views].float() for one in (self.tokens, self.shares, self.frozen))
        return FrozenFeatures(*(one.to(device) for one in picked))

    def two_views(
        self, regions: Tensor, generator: torch.Generator, device: torch.device
    ) -> FrozenFeatures:
        """Two different augmented views of each region named, the second views after the first.

        Args:
            regions: Indices, (B,).
            generator: Draws the views.
            device: Where to.
        """
        return self.batch(*self.draw_two_views(regions, generator), device)

    def draw_two_views(self, regions: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws the views of `two_views`: the region and the number of each, (2B,) both."""
        first = torch.randint(self.n_views, regions.shape, generator=generator)
        step = torch.randint(1, max(2, self.n_views), regions.shape, generator=generator)
        views = 1 + torch.cat([first, (first + step) % self.n_views])
        return regions.repeat(2), views

    def central(
        self, device: torch.device, size: int = 64, rows: slice | Tensor = slice(None)
    ) -> Iterator[FrozenFeatures]:
        """The central views of all regions, or of some rows, in order, in batches."""
        for regions in torch.arange(len(self))[rows].split(size):
            yield self.batch(regions, torch.zeros_like(regions), device)

    def read(self, encoder: RegionEncoder, rows: slice | Tensor = slice(None)) -> Tensor:
        """All pieces of the descriptor of each region, (R, sum of widths), float32, on the CPU.

        Args:
            encoder: Reads the tokens.
            rows: The regions; all without it.
        """
        if self.means is not None:
            return self.means[rows]
        device = encoder.vit.cls_token.device
        with torch.inference_mode():
            batches = self.central(device, rows=rows)
            return torch.cat([encoder.read(features).cpu() for features in batches])


def fill_token_store(context: RunContext, crops: Iterable[Crop], n_regions: int) -> TokenStore:
    """Runs the frozen blocks over the central and the augmented views of every region.

    Args:
        context: Encoder, config, seed of the augmentation, and the folder where tokens above
            `config.crops.memory_limit_gb` are written, if there is one.
        crops: The crop of each region, with the side `config.crops.load_size`.
        n_regions: Number of crops that will come; at least one.

    Returns:
        The tokens of all views.
    """
    encoder, config = context.encoder, context.config.crops
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(context.seed)
        parts = (read_batch(encoder, config, batch) for batch in _batches(crops))
        return join_batches(context, parts, n_regions)


def read_batch(encoder: RegionEncoder, config: CropConfig, batch: CropBatch) -> TokenStore:
    """Runs the frozen blocks over the central and the augmented views of a batch of regions.

    Args:
        encoder: On its device and in its precision.
        config: The views.
        batch: The crops.

    Returns:
        The tokens of the batch, on the CPU. Their last bits may depend on the size of the batch.
    """
    views, means = [], None
    for index, view in enumerate(_views(batch, config)):
        features = _frozen_features(encoder, view)
        views.append(
            (
                features.tokens.to("cpu", torch.bfloat16),
                features.shares.cpu(),
                features.frozen.cpu(),
            )
        )
        if encoder.config.n_rotations > 1 and index == 0:
            means = _mean_over_rotations(encoder, view, features)
    tokens, shares, frozen = (torch.stack(one, 1) for one in zip(*views, strict=True))
    return TokenStore(tokens, shares, frozen, means)


def join_batches(context: RunContext, parts: Iterable[TokenStore], n_regions: int) -> TokenStore:
    """Joins the tokens of batches of `BATCH` regions, in memory or in a file.

    Args:
        context: As for `fill_token_store`.
        parts: The tokens of each batch, in order.
        n_regions: Number of regions in all batches; at least one.
    """
    store, start = None, 0
    for part in track(parts, "Reading regions", -(-n_regions // BATCH)):
        store = store or _allocate(part, n_regions, context)
        rows = slice(start, start := start + len(part))
        store.tokens[rows], store.shares[rows] = part.tokens, part.shares
        store.frozen[rows] = part.frozen
        if store.means is not None and part.means is not None:
            store.means[rows] = part.means
    if store is None:
        raise ValueError("no region to read")
    return store


class BatchReader:
    """Cuts out and reads batches of regions, of which each is read as `fill_token_store` does.

    Augmented views are drawn in the order of all regions, so there may be none.

    Args:
        encoder: On its device and in its precision.
        images: The images.
        regions: All regions.
        config: Of the run.
        overlays: See `read_crops`.
    """

    def __init__(
        self,
        encoder: RegionEncoder,
        images: ImageSet,
        regions: Regions,
        config: Config,
        overlays: Overlays,
    ) -> None:
        self._encoder, self._images, self._regions = encoder, images, regions
        self._config, self._overlays = config, overlays

    def __call__(self, start: int) -> TokenStore:
        """Reads the batch of regions that begins at a row."""
        regions = self._regions.select(slice(start, start + BATCH))
        crops = read_crops(self._images, regions, self._config, self._overlays)
        (batch,) = _batches(crops)
        with torch.inference_mode():
            return read_batch(self._encoder, self._config.crops, batch)


def _frozen_features(encoder: RegionEncoder, view: CropBatch) -> FrozenFeatures:
    """Runs the frozen blocks; in halves, where the memory of the device is too small."""
    count = len(view.images)
    try:
        return _run_frozen_blocks(encoder, view)
    except RuntimeError as error:
        if count == 1 or not is_out_of_memory(error):
            raise
    # Only here is what the error refers to, tensors on the device among it, given back.
    rows = (slice(count // 2), slice(count // 2, None))
    first, second = (_frozen_features(encoder, view.select(half)) for half in rows)
    return FrozenFeatures(
        torch.cat([first.tokens, second.tokens]),
        torch.cat([first.shares, second.shares]),
        torch.cat([first.frozen, second.frozen]),
    )


def _run_frozen_blocks(encoder: RegionEncoder, view: CropBatch) -> FrozenFeatures:
    weight = encoder.vit.patch_embed.proj.weight
    return encoder.frozen_features(
        view.images.to(weight.device, weight.dtype),
        view.masks.to(weight.device),
        None if view.foreground is None else view.foreground.to(weight.device),
        None if view.maps is None else view.maps.to(weight.device),
    )


def _mean_over_rotations(
    encoder: RegionEncoder, view: CropBatch, upright: FrozenFeatures
) -> Tensor:
    """Mean of all pieces of the descriptors over the rotations of a view, (B, sum of widths)."""
    others = islice(rotations(view, encoder.config.n_rotations), 1, None)
    features = chain([upright], (_frozen_features(encoder, rotated) for rotated in others))
    pieces = [encoder.read(replace(one, tokens=one.tokens.float())).cpu() for one in features]
    return torch.stack(pieces).mean(0)


def mapped_tokens(folder: Path, shape: tuple[int, ...], new: bool) -> Tensor:
    """Tokens of a shape in a memory-mapped file.

    Args:
        folder: Holds the file, or will.
        shape: Of the tokens.
        new: Whether to make the file.

    Raises:
        InputError: The disk has no room for a new file.
        ValueError: The file of another time has another size, or is gone.
    """
    path, count = folder / MAPPED, math.prod(shape)
    if not new and not (path.is_file() and path.stat().st_size == 2 * count):
        raise ValueError(f"'{path}' does not hold {count} tokens")
    if new:
        with writing(path):
            _reserve(path, 2 * count)
    flat = torch.from_file(str(path), shared=True, size=count, dtype=torch.bfloat16)
    return flat.view(shape)


def _reserve(path: Path, n_bytes: int) -> None:
    """Makes a file of zeros that has its place on the disk.

    Where the disk is full, writing into a mapped file without one would end the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
            return
        zeros = bytes(2**24)
        for start in range(0, n_bytes, len(zeros)):
            file.write(zeros[: n_bytes - start])


def _views(batch: CropBatch, config: CropConfig) -> Iterator[CropBatch]:
    yield central_view(batch, config)
    for _ in range(config.n_views):
        yield augmented_view(batch, config)


def _batches(crops: Iterable[Crop]) -> Iterator[CropBatch]:
    stream = iter(crops)
    while chunk := list(islice(stream, BATCH)):
        yield CropBatch(
            to_tensor(np.stack([crop.image for crop in chunk])),
            torch.from_numpy(np.stack([crop.mask for crop in chunk]))[:, None],
            _stacked([crop.foreground_mask for crop in chunk]),
            _stacked([crop.anomaly_map for crop in chunk]),
        )


def _stacked(layers: list[Levels | None]) -> Tensor | None:
    present = [layer for layer in layers if layer is not None]
    return torch.from_numpy(np.stack(present))[:, None] if present else None


def _allocate(part: TokenStore, n_regions: int, context: RunContext) -> TokenStore:
    shape = (n_regions, *part.tokens.shape[1:])
    limit = context.config.crops.memory_limit_gb * 1e9
    if context.folder is not None and 2 * math.prod(shape) > limit:
        tokens = mapped_tokens(context.folder, shape, new=True)
    else:
        tokens = torch.empty(shape, dtype=torch.bfloat16)
    shares, frozen = (torch.empty(n_regions, *one.shape[1:]) for one in (part.shares, part.frozen))
    means = None if part.means is None else torch.empty(n_regions, *part.means.shape[1:])
    return TokenStore(tokens, shares, frozen, means)
