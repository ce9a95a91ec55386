"""Frozen tokens of every view of every region, to train from."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.io.writing import writing

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

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def n_views(self) -> int:
        """Augmented views of each region."""
        return self.tokens.shape[1] - 1

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that is kept, by name."""
        return {"tokens": self.tokens, "shares": self.shares, "frozen": self.frozen}

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
        device = encoder.vit.cls_token.device
        with torch.inference_mode():
            batches = self.central(device, rows=rows)
            return torch.cat([encoder.read(features).cpu() for features in batches])

    def attend(self, encoder: RegionEncoder) -> NDArray[np.float16] | None:
        """Where the CLS token looks on the central view of each region.

        Args:
            encoder: Reads the tokens.

        Returns:
            (R, 2, rows, columns), 0..1, without and with guidance, see `RegionEncoder.attention`;
            None where it is not guided.
        """
        if not encoder.guides_readout:
            return None
        with torch.inference_mode():
            batches = self.central(encoder.vit.cls_token.device)
            attention = [encoder.attention(features).half().cpu() for features in batches]
        return torch.cat(attention).numpy()


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
