"""Image scores brought nearer to those of images that look alike as a whole (MuSc, RsCIN)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_BLOCK = 1000


def reranked(
    scores: NDArray[np.float32], cls: Tensor, n_nearest: tuple[int, ...]
) -> NDArray[np.float32]:
    """Averages the score of each image over those most like it, weighted by the likeness.

    The published 0..1 scaling is left out: each new score is a weighted mean of old ones, so it
    would come out the same.

    Args:
        scores: Of N images, (N,).
        cls: Their CLS tokens, (N, D).
        n_nearest: Over how many images, itself among them, each of several means goes; the new
            score is the mean of these means.

    Returns:
        (N,), on the scale of `scores`.

    Source: MuSc (Li et al., ICLR 2024), "re-scoring with constrained image-level neighborhood".
    """
    unit, old = functional.normalize(cls.float(), dim=1), torch.from_numpy(scores).float()
    new = []
    for block in unit.split(_BLOCK):
        likest = (block @ unit.T).clamp(min=0).topk(min(max(n_nearest), len(unit)))
        weighted = likest.values * old[likest.indices]
        means = [weighted[:, :k].sum(1) / likest.values[:, :k].sum(1) for k in n_nearest]
        new.append(torch.stack(means).mean(0))
    return np.asarray(torch.cat(new).numpy(), np.float32)
