"""A few tokens that stand for many."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.detection.memory_bank import coreset


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 3))
def test_indices_are_distinct_and_rise(n_tokens: int, count: int, seed: int) -> None:
    tokens = torch.randn(n_tokens, 8, generator=torch.Generator().manual_seed(seed))
    picked = coreset(tokens, count, seed)
    assert len(picked) == min(n_tokens, count)
    assert (picked.diff() > 0).all()
    assert picked.min() >= 0
    assert picked.max() < n_tokens


def test_every_cluster_is_met_before_any_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(9, 16, generator=generator)
    tokens = (centres[:, None] + torch.randn(9, 50, 16, generator=generator) / 10).flatten(0, 1)
    picked = coreset(tokens, 9, seed=1)
    assert sorted((picked // 50).tolist()) == list(range(9))


def test_same_seed_same_choice() -> None:
    tokens = torch.randn(100, 8)
    assert torch.equal(coreset(tokens, 10, 3), coreset(tokens, 10, 3))


def test_doubled_tokens_are_no_trouble() -> None:
    picked = coreset(torch.zeros(20, 4), 5, seed=0)
    assert len(picked.unique()) == 5
