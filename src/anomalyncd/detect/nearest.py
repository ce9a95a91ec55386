"""Likeness of patches to others, and which of these count."""

from dataclasses import dataclass

import torch
from torch import Tensor

NEVER = -3.0
"""A likeness below any other: that of patches that are not to be compared."""


@dataclass(frozen=True, eq=False)
class SamePlace:
    """Where patches that others are compared with lie, for parts that are photographed alike."""

    positions: Tensor
    """(M, 2), float32: y and x of their middles, as shares of the height and width of the view."""
    within: float
    """How far from its own place a patch is compared, in the same shares."""

    def near(self, rows: int, columns: int) -> Tensor:
        """Which of the M patches lie near each patch of a grid, (M, rows * columns), bool.

        Half a patch is added, since the grids of two pictures may differ by a row.
        """
        reaches = []
        for axis, count in enumerate((rows, columns)):
            middles = (torch.arange(count) + 0.5) / count
            apart = (self.positions[:, axis : axis + 1].cpu() - middles).abs()
            reaches.append(apart <= self.within + 0.5 / count)
        return (reaches[0][:, :, None] & reaches[1][:, None]).flatten(1)


def grid_positions(rows: int, columns: int) -> Tensor:
    """Middles of the patches of a grid, (rows * columns, 2); see `SamePlace.positions`."""
    y, x = (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns
    return torch.cartesian_prod(y, x).view(-1, 2)


def likeness(features: Tensor, others: Tensor) -> Tensor:
    """Cosines of unit vectors, minus 1: -2..0, 0 where they are equal.

    Half the squared distance with its sign turned. bfloat16 has its finest steps next to 0, where
    the nearest patches are; cosines near 1 would come in steps of .004.

    Args:
        features: Of the patches of a picture, (D, rows, columns).
        others: (M, D).

    Returns:
        (M, rows * columns), on the device and in the precision of `features`.
    """
    away = features.new_full((1, features[0].numel()), -1)
    return torch.addmm(away, others.to(features.device, features.dtype), features.flatten(1))


def distances(alike: Tensor) -> Tensor:
    """Distances 0..2 of unit vectors, float32, of the shape of their `likeness`; `NEVER` is 2."""
    return (-2 * alike.float()).clamp(0, 4).sqrt()
