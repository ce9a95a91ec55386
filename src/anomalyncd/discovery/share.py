"""The share of each batch that one of several training processes reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Which views of a batch this process reads; all of them, if it trains alone.

    All processes draw the same batches. Each describes its share of the views and gathers those of
    the others, with their gradients. So every loss sees the whole batch, as in one process, also
    those that compare its members. The gathered gradient of a view is the sum over P processes,
    which all compute the same loss, and `average` divides it by P: what remains is the gradient of
    one process that reads the whole batch.
    """

    fabric: Any = None
    """The launched `Fabric` of the processes; None trains alone."""

    def of(self, views: Tensor) -> Tensor:
        """Picks the share of this process: as many of (V, ...) in each, the first ones repeated
        where they are too few."""
        if self.fabric is None:
            return views
        each = -(-len(views) // self.fabric.world_size)
        start = self.fabric.global_rank * each
        return views[torch.arange(start, start + each) % len(views)]

    def gather(self, described: Tensor, n_views: int) -> Tensor:
        """Joins what the processes made of their shares: (V, ...), with gradients."""
        if self.fabric is None:
            return described
        joined: Tensor = self.fabric.all_gather(described, sync_grads=True).flatten(0, 1)
        return joined[:n_views]

    def average(self, parameters: Sequence[Tensor]) -> None:
        """Averages the gradients of parameters over the processes, in place."""
        if self.fabric is None:
            return
        gradients = [one.grad for one in parameters if one.grad is not None]
        flat = torch.cat([one.flatten() for one in gradients])
        mean = self.fabric.all_reduce(flat, reduce_op="mean")
        for gradient, part in zip(
            gradients, mean.split([one.numel() for one in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))


ALONE = Share()
"""One process reads everything."""
