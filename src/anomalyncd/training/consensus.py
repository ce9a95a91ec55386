"""One set of prototypes out of several heads."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional


def consensus(prototypes: Tensor, probabilities: NDArray[np.float32]) -> Tensor:
    """Mean of all heads' prototypes on the sphere, each class matched with its like (our own).

    Classes are alike that are given to the same regions (Hungarian matching); the first one is the
    normal one in every head. The head that agrees best with the others numbers the classes.

    Args:
        prototypes: (heads, K, D), unit length, the normal one first.
        probabilities: Of each region by each head, (heads, R, K).

    Returns:
        Unit prototypes, (K, D), in the order of that head.
    """
    overlaps = np.einsum("hrk,grl->hgkl", probabilities, probabilities, optimize=True)
    orders = [[_match(overlap) for overlap in row] for row in overlaps]
    agreement = [
        sum(
            overlap[np.arange(len(order)), order].sum() for overlap, order in zip(*one, strict=True)
        )
        for one in zip(overlaps, orders, strict=True)
    ]
    best = orders[int(np.argmax(agreement))]
    aligned = [head[torch.from_numpy(order)] for head, order in zip(prototypes, best, strict=True)]
    return functional.normalize(torch.stack(aligned).mean(0), dim=-1)


def _match(overlap: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each class of one head that of the other, (K,); the normal ones belong together."""
    rest = linear_sum_assignment(overlap[1:, 1:], maximize=True)[1] + 1
    return np.concatenate([[0], rest])
