"""Several heads that say the same say it together."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn import functional

from anomalyncd.discovery.discover import class_shares
from anomalyncd.discovery.prototypes import consensus

N_CLASSES, WIDTH = 5, 16


def _heads(n_heads: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """The same prototypes in other orders, the normal one first; unit features near them."""
    generator = torch.Generator().manual_seed(0)
    one = functional.normalize(torch.randn(N_CLASSES, WIDTH, generator=generator), dim=1)
    orders = [torch.randperm(N_CLASSES - 1, generator=generator) + 1 for _ in range(n_heads)]
    heads = torch.stack([one[torch.cat([torch.zeros(1).long(), order])] for order in orders])
    noise = 0.1 * torch.randn(20 * N_CLASSES, WIDTH, generator=generator)
    features = functional.normalize(one.repeat(20, 1) + noise, dim=1)
    return one, heads, _probabilities(heads, features)


def _probabilities(heads: torch.Tensor, features: torch.Tensor) -> np.ndarray:
    return softmax(torch.einsum("rd,hkd->hrk", features, heads).numpy() / 0.1, axis=-1)


@pytest.mark.parametrize("n_heads", [1, 2, 6])
def test_consensus_of_permuted_heads_is_the_one_head(n_heads: int) -> None:
    one, heads, probabilities = _heads(n_heads)
    agreed = consensus(heads, probabilities)
    assert any(torch.allclose(agreed, head, atol=1e-6) for head in heads)
    torch.testing.assert_close(agreed[0], one[0])


def test_a_head_that_differs_is_outvoted() -> None:
    _, heads, probabilities = _heads(5)
    strange = heads[-1].clone()
    strange[2] = functional.normalize(strange[2] + strange[3], dim=0)
    heads[-1] = strange
    agreed = consensus(heads, probabilities)
    likeness = (agreed @ heads[0].T).max(1).values
    assert (likeness > 0.97).all()
    torch.testing.assert_close(agreed.norm(dim=1), torch.ones(N_CLASSES))


def test_the_normal_class_is_matched_with_itself_alone() -> None:
    _, heads, probabilities = _heads(2)
    swapped = [1, 0, 2, 3, 4]
    agreed = consensus(heads[:, swapped], probabilities[:, :, swapped])
    expected = functional.normalize(heads[0, 1] + heads[1, 1], dim=0)
    torch.testing.assert_close(agreed[0], expected)


def test_shares_of_the_start_count_normal_regions_as_normal() -> None:
    cosines = np.array([[[0.9, 0.1, 0.8, 0.2], [0.0, 0.9, 0.1, 0.3], [0.9, 0.0, 0.2, 0.7]]])
    normal = np.array([0.0, 1.0, 0.25], np.float32)
    shares = class_shares(cosines.astype(np.float32), normal, n_base=1)
    # Base class, normal, and two kinds; each begins with one.
    expected = torch.tensor([[1, 1 + 1.25, 1 + 1.0, 1 + 0.75]]) / 7
    torch.testing.assert_close(shares, expected)
