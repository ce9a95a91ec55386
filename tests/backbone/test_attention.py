import pytest
import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone import attention
from anomalyncd.backbone.attention import attend


def random_heads(n_images: int, n_tokens: int, seed: int = 0) -> list[Tensor]:
    """Query, key and value as a block makes them: views of one matrix."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(n_images, n_tokens, 3, 2, 16, generator=generator)
    return list(tokens.permute(2, 0, 3, 1, 4))


@pytest.mark.parametrize("n_affinities", [1, 100, 3 * 37 * 37, 2**19])
def test_pieces_of_any_size_make_the_same_attention(
    n_affinities: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_AFFINITIES", n_affinities)
    heads = [one.bfloat16() for one in random_heads(3, 37)]
    expected = functional.scaled_dot_product_attention(*(one.float() for one in heads))
    torch.testing.assert_close(attend(*heads).float(), expected, atol=0.02, rtol=0)


def test_few_queries_look_at_all_keys() -> None:
    query, key, value = (one.bfloat16() for one in random_heads(2, 20))
    few = attend(query[:, :, :3], key, value)
    torch.testing.assert_close(few, attend(query, key, value)[:, :, :3], atol=0.01, rtol=0)


def test_what_all_keys_share_costs_no_precision() -> None:
    """Affinities of some hundreds would be rounded to whole numbers."""
    query, key, value = random_heads(1, 50)
    far = (key + 50).bfloat16()
    heads = query.bfloat16(), far, value.bfloat16()
    expected = functional.scaled_dot_product_attention(*(one.float() for one in heads))
    torch.testing.assert_close(attend(*heads).float(), expected, atol=0.03, rtol=0)


def test_float32_is_left_to_torch() -> None:
    heads = random_heads(2, 20)
    torch.testing.assert_close(
        attend(*heads), functional.scaled_dot_product_attention(*heads), atol=0, rtol=0
    )


def test_gradients_flow_in_either_precision() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        heads = [one.to(dtype).requires_grad_() for one in random_heads(1, 5)]
        attend(*heads).sum().backward()
        assert all(one.grad is not None for one in heads)
