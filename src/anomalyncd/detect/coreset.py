"""A few tokens that stand for many: greedy k-centre selection."""

import torch
from torch import Tensor

from anomalyncd.progress import track

N_DIMENSIONS = 64
"""Of the random projection in which distances are compared; it keeps them to within some 10 %."""


def coreset(tokens: Tensor, count: int, seed: int) -> Tensor:
    """Picks tokens so that no token is far from a picked one.

    Each step takes the token farthest from those taken so far; the largest distance that is left
    is at most twice that of the best choice. Time grows with `N * count`, memory with `N * 64`.

    Args:
        tokens: (N, D).
        count: How many to pick; all where there are no more.
        seed: Of the projection and of the first token.

    Returns:
        Indices of the picked ones, (min(N, count),), int64, ascending, on the CPU.

    Source: PatchCore, section 3.2; Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985.
    """
    if count >= len(tokens):
        return torch.arange(len(tokens))
    generator = torch.Generator().manual_seed(seed)
    projection = torch.randn(tokens.shape[1], N_DIMENSIONS, generator=generator)
    points = tokens.float() @ projection.to(tokens.device)
    norms = points.square().sum(1)
    nearest = torch.full_like(norms, torch.inf)
    picked = torch.empty(count, dtype=torch.int64)
    latest = int(torch.randint(len(tokens), (1,), generator=generator))
    for step in track(range(count), "Choosing normal patches"):
        picked[step] = latest
        distance = norms - 2 * (points @ points[latest]) + norms[latest]
        nearest = torch.minimum(nearest, distance)
        nearest[latest] = -torch.inf
        latest = int(nearest.argmax())
    return picked.sort().values
