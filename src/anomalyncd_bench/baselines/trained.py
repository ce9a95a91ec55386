"""Shared by the baselines that train the last block and a head on cached views."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.runtime.progress import track

Module = TypeVar("Module", bound=nn.Module)


class CLSEncoder(nn.Module):
    """A copy of an encoder whose last block and final LayerNorm are trained."""

    def __init__(self, encoder: RegionEncoder) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)

    @property
    def width(self) -> int:
        """Length of a CLS token."""
        return self.encoder.vit.config.width

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.encoder.vit.cls_token.device

    def forward(self, features: FrozenFeatures) -> Tensor:
        """CLS tokens, (B, D), after the final LayerNorm."""
        return self.encoder.read(features)

    def trainable(self) -> list[nn.Parameter]:
        """Parameters of the last block and of the LayerNorm; all others stay frozen."""
        vit = self.encoder.vit
        return [*vit.blocks[self.encoder.readout].parameters(), *vit.norm.parameters()]


class LinearHeads(nn.Module):
    """Independent linear classifiers."""

    def __init__(self, width: int, n_classes: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.linear = nn.Linear(width, n_heads * n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, (heads, B, C), of features (B, D)."""
        logits: Tensor = self.linear(features).view(len(features), self.n_heads, -1)
        return logits.transpose(0, 1)


def seeded(make: Callable[[], Module], seed: int, device: torch.device) -> Module:
    """A module on the device, whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().to(device)


@dataclass(frozen=True)
class Schedule:
    """How often images are used for training, and how many at once."""

    n_images: int
    n_epochs: int
    """Passes over the images."""
    batch_size: int
    """Most images of a step; all batches have nearly the same size, since some losses use the
    distribution over the batch."""


def minimise(
    loss: Callable[[Tensor, int], Tensor | None],
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    generator: torch.Generator,
    before_epoch: Callable[[int], None] | None = None,
) -> None:
    """Takes one step for each batch of images; learning rates fall along a cosine.

    Args:
        loss: Of the images of a batch, by their indices (B,) and the epoch; None skips the step.
        optimiser: Holds all trained parameters.
        schedule: Number of images, of epochs and of images in a batch.
        generator: Shuffles the images.
        before_epoch: Called with the number of each epoch before it.
    """
    n_images, n_epochs = schedule.n_images, schedule.n_epochs
    n_batches = math.ceil(n_images / schedule.batch_size)
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    rates = [group["lr"] for group in optimiser.param_groups]
    for epoch in track(range(n_epochs), "Training"):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * (1 + math.cos(math.pi * epoch / n_epochs)) / 2
        if before_epoch is not None:
            before_epoch(epoch)
        for rows in torch.randperm(n_images, generator=generator).tensor_split(n_batches):
            value = loss(rows, epoch)
            if value is not None:
                optimiser.zero_grad()
                value.backward()
                optimiser.step()


def random_view(
    cache: TokenStore, rows: Tensor, generator: torch.Generator, device: torch.device
) -> FrozenFeatures:
    """One random augmented view of each of these images, (B,)."""
    return cache.batch(
        rows, 1 + torch.randint(cache.n_views, rows.shape, generator=generator), device
    )


def central_features(model: CLSEncoder, cache: TokenStore) -> Tensor:
    """CLS tokens of the central view of every image, (N, D), without a gradient."""
    with torch.no_grad():
        return torch.cat([model(features) for features in cache.central(model.device)])


def classes_of(logits: Tensor) -> NDArray[np.int64]:
    """The class with the highest logit, (N,), of logits (N, C)."""
    return np.asarray(logits.argmax(1).cpu().numpy(), np.int64)
