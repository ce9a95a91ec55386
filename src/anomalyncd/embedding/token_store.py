"""What the frozen blocks say of every view of every region, computed once."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.pixels import to_tensor
from anomalyncd.config import CropConfig
from anomalyncd.embedding.augmentation import (
    CropBatch,
    augmented_view,
    central_view,
    poses,
)
from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.regions.crops import Crop, Levels
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
    """(R, 1 + n_views, F), float32: parts of the descriptor that are never trained."""
    means: Tensor | None = None
    """(R, sum of widths), float32: all parts of the descriptor of the central view, averaged over
    its poses; None where it is read in one pose alone."""

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
        picked = (part[regions, views].float() for part in (self.tokens, self.shares, self.frozen))
        return FrozenFeatures(*(part.to(device) for part in picked))

    def two_views(
        self, regions: Tensor, generator: torch.Generator, device: torch.device
    ) -> FrozenFeatures:
        """Two different augmented views of each region named, the second views after the first.

        Args:
            regions: Indices, (B,).
            generator: Draws the views.
            device: Where to.
        """
        first = torch.randint(self.n_views, regions.shape, generator=generator)
        step = torch.randint(1, max(2, self.n_views), regions.shape, generator=generator)
        views = 1 + torch.cat([first, (first + step) % self.n_views])
        return self.batch(regions.repeat(2), views, device)

    def central(self, device: torch.device, size: int = 64) -> Iterator[FrozenFeatures]:
        """The central views of all regions, in order, in batches."""
        for regions in torch.arange(len(self)).split(size):
            yield self.batch(regions, torch.zeros_like(regions), device)

    def read(self, encoder: RegionEncoder) -> Tensor:
        """All parts of the descriptor of each region, (R, sum of widths), float32, on the CPU."""
        if self.means is not None:
            return self.means
        device = encoder.vit.cls_token.device
        with torch.inference_mode():
            return torch.cat([encoder.read(trunk).cpu() for trunk in self.central(device)])


def fill_token_store(
    encoder: RegionEncoder,
    crops: Iterable[Crop],
    n_regions: int,
    config: CropConfig,
    seed: int,
    folder: Path,
) -> TokenStore:
    """Runs the trunk over the central and the augmented views of every region.

    Args:
        encoder: On its device and in its precision.
        crops: That of each region, of side L = `config.load_size`.
        n_regions: How many crops will come; at least one.
        config: Sizes, number of views and strength of augmentation.
        seed: Of the augmentation.
        folder: Where tokens above `config.memory_limit_gb` are laid down.

    Returns:
        The cache.
    """
    cache: TokenStore | None = None
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        for start, crop in track(_batches(crops), "Reading regions", -(-n_regions // BATCH)):
            rows = slice(start, start + len(crop.images))
            for index, view in enumerate(_views(crop, config)):
                trunk = _run_trunk(encoder, view)
                cache = cache or _allocate(trunk, n_regions, encoder, config, folder)
                cache.tokens[rows, index] = trunk.tokens.to("cpu", torch.bfloat16)
                cache.shares[rows, index] = trunk.shares.cpu()
                cache.frozen[rows, index] = trunk.frozen.cpu()
                if cache.means is not None and index == 0:
                    cache.means[rows] = _mean_over_poses(encoder, view, trunk)
    if cache is None:
        raise ValueError("no region to read")
    return cache


def _run_trunk(encoder: RegionEncoder, view: CropBatch) -> FrozenFeatures:
    weight = encoder.vit.patch_embed.proj.weight
    return encoder.trunk(
        view.images.to(weight.device, weight.dtype),
        view.masks.to(weight.device),
        None if view.foreground is None else view.foreground.to(weight.device),
        None if view.maps is None else view.maps.to(weight.device),
    )


def _mean_over_poses(encoder: RegionEncoder, view: CropBatch, upright: FrozenFeatures) -> Tensor:
    """All parts of the descriptors, (B, sum of widths), averaged over the poses of a view."""
    others = islice(poses(view, encoder.config.n_rotations), 1, None)
    trunks = chain([upright], (_run_trunk(encoder, pose) for pose in others))
    read = [encoder.read(replace(one, tokens=one.tokens.float())).cpu() for one in trunks]
    return torch.stack(read).mean(0)


def mapped_tokens(folder: Path, shape: tuple[int, ...], new: bool) -> Tensor:
    """Tokens of a shape in a memory-mapped file.

    Args:
        folder: Holds the file, or will.
        shape: Of the tokens.
        new: Whether to make the file.

    Raises:
        ValueError: The file of another time has another size, or is gone.
    """
    path, count = folder / MAPPED, math.prod(shape)
    if not new and not (path.is_file() and path.stat().st_size == 2 * count):
        raise ValueError(f"'{path}' does not hold {count} tokens")
    flat = torch.from_file(str(path), shared=True, size=count, dtype=torch.bfloat16)
    return flat.view(shape)


def _views(crop: CropBatch, config: CropConfig) -> Iterator[CropBatch]:
    yield central_view(crop, config)
    for _ in range(config.n_views):
        yield augmented_view(crop, config)


def _batches(crops: Iterable[Crop]) -> Iterator[tuple[int, CropBatch]]:
    stream, start = iter(crops), 0
    while chunk := list(islice(stream, BATCH)):
        yield (
            start,
            CropBatch(
                to_tensor(np.stack([crop.image for crop in chunk])),
                torch.from_numpy(np.stack([crop.mask for crop in chunk]))[:, None],
                _stacked([crop.object_mask for crop in chunk]),
                _stacked([crop.anomaly_map for crop in chunk]),
            ),
        )
        start += len(chunk)


def _stacked(layers: list[Levels | None]) -> Tensor | None:
    held = [layer for layer in layers if layer is not None]
    return torch.from_numpy(np.stack(held))[:, None] if held else None


def _allocate(
    trunk: FrozenFeatures, n_regions: int, encoder: RegionEncoder, config: CropConfig, folder: Path
) -> TokenStore:
    rows = (n_regions, 1 + config.n_views)
    shape = (*rows, *trunk.tokens.shape[1:])
    if 2 * math.prod(shape) > config.memory_limit_gb * 1e9:
        folder.mkdir(parents=True, exist_ok=True)
        tokens = mapped_tokens(folder, shape, new=True)
    else:
        tokens = torch.empty(shape, dtype=torch.bfloat16)
    shares, frozen = (torch.empty(*rows, *one.shape[1:]) for one in (trunk.shares, trunk.frozen))
    means = None
    if encoder.config.n_rotations > 1:
        means = torch.empty(n_regions, sum(encoder.widths))
    return TokenStore(tokens, shares, frozen, means)
