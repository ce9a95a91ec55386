"""The vision transformer equals other implementations, also where only a CLS token is computed."""

import re

import pytest
import torch
from torch import Tensor, nn

from anomalyncd.backbone.vit import (
    Block,
    VisionTransformer,
    VitConfig,
)

SIZES = ((28, 28), (42, 42), (14, 56), (63, 21))

_TIMM_NAMES = (
    (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^embeddings\.register_tokens", "reg_token"),
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^(?:encoder\.layer|layers)\.(\d+)", r"blocks.\1"),
    (r"^layernorm", "norm"),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"attention\.o_proj", "attn.proj"),
    (r"attention\.", "attn."),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
)


def _random(module: nn.Module, seed: int = 0) -> nn.Module:
    """Changes every parameter, so that the tests notice one that is not used."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def _images(height: int, width: int, n: int = 2) -> Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def _timm_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of a model of transformers under timm's names."""
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in _TIMM_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    renamed.pop("embeddings.mask_token", None)
    for name in [name for name in renamed if "q_proj" in name]:
        qkv = [renamed.pop(name.replace("q_proj", f"{letter}_proj")) for letter in "qkv"]
        renamed[name.replace("q_proj", "qkv")] = torch.cat(qkv)
    if "reg_token" in renamed:
        position = renamed["pos_embed"]
        renamed["cls_token"] = renamed["cls_token"] + position[:, :1]
        renamed["pos_embed"] = position[:, 1:]
    return renamed


@torch.no_grad()
def _assert_parity(theirs: nn.Module, config: VitConfig, **arguments: bool) -> None:
    ours = VisionTransformer(config).eval()
    ours.load_state_dict(_timm_state(_random(theirs).state_dict()))
    for size in SIZES:
        images = _images(*size)
        expected = theirs(pixel_values=images, **arguments).last_hidden_state
        torch.testing.assert_close(ours(images), expected, atol=1e-4, rtol=0)


def test_dinov2_equals_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=28, patch_size=7
    )
    _assert_parity(
        transformers.Dinov2Model(config), VitConfig(7, 48, 3, 4, grid=4, layer_scale=True)
    )


def test_dinov2_with_registers_equals_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=28,
        patch_size=7,
        num_register_tokens=3,
    )
    _assert_parity(
        transformers.Dinov2WithRegistersModel(config),
        VitConfig(7, 48, 3, 4, grid=4, n_registers=3, layer_scale=True),
    )


def test_vit_equals_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=192,
        image_size=28,
        patch_size=7,
        layer_norm_eps=1e-6,
    )
    _assert_parity(
        transformers.ViTModel(config, add_pooling_layer=False),
        VitConfig(7, 48, 3, 4, grid=4),
        interpolate_pos_encoding=True,
    )


@pytest.mark.parametrize("layer_scale", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_the_cls_row_equals_that_of_the_full_block(biased: bool, layer_scale: bool) -> None:
    config = VitConfig(7, 32, 1, 4, grid=4, layer_scale=layer_scale)
    block = _random(Block(config)).double()
    assert isinstance(block, Block)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(3, 17, 32, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, 17, generator=generator, dtype=torch.float64) if biased else None
    if bias is not None:
        bias[:, 5:9] = -1e9
    direction = torch.randn(3, 32, generator=generator, dtype=torch.float64)
    inputs = [tokens, *block.parameters()]

    row, full = block.cls_row(tokens, bias), block(tokens, bias)[:, 0]
    torch.testing.assert_close(row, full)
    of_row = torch.autograd.grad((row * direction).sum(), inputs)
    of_full = torch.autograd.grad((full * direction).sum(), inputs)
    for ours, theirs in zip(of_row, of_full, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-7)
    assert all(gradient.abs().max() > 1e-3 for gradient in of_row)


@torch.no_grad()
def test_tokens_after_some_blocks() -> None:
    vit = _random(VisionTransformer(VitConfig(7, 32, 3, 4, grid=4, n_registers=2)))
    assert isinstance(vit, VisionTransformer)
    images = _images(21, 35)
    after = vit.tokens_after(images, (0, 2))
    assert list(after) == [0, 2]
    torch.testing.assert_close(after[0], vit.blocks[0](vit.embed(images)))
    torch.testing.assert_close(vit.norm(after[2]), vit(images))
    vit.blocks[1].bfloat16()
    assert vit.tokens_after(images, (1, 2))[1].dtype == torch.bfloat16
