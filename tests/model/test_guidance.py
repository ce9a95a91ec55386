"""Where the CLS token may look: published values, limits, and what stays untouched."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anomalyncd.model.guidance import Guidance, GuidanceMode
from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.model.vit import Block, VisionTransformer, VitConfig
from anomalyncd.settings import EncoderSettings

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "mgvit.safetensors")
PUBLISHED = VitConfig(patch_size=8, width=24, depth=4, n_heads=2, grid=8)


def _block() -> Block:
    torch.manual_seed(0)
    return Block(VitConfig(7, 32, 1, 4, grid=4))


def _published_vit() -> VisionTransformer:
    vit = VisionTransformer(PUBLISHED)
    vit.load_state_dict(
        {k.removeprefix("weights."): v for k, v in GOLDEN.items() if k.startswith("weights.")}
    )
    return vit.eval()


@torch.no_grad()
def test_published_mgvit_block_by_block() -> None:
    vit = _published_vit()
    bias = Guidance("hard")(GOLDEN["masks"], (8, 8), vit.n_prefix)
    tokens = vit.embed(GOLDEN["images"])
    for index, block in enumerate(vit.blocks):
        tokens = block(tokens, bias if index >= 1 else None)
    torch.testing.assert_close(vit.norm(tokens)[:, 0], GOLDEN["cls"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_published_mgvit_by_the_economical_way() -> None:
    settings = EncoderSettings("hard", n_guided=3, readout=-1, extra_cls=(), region_means=())
    encoder = RegionEncoder(_published_vit(), settings)
    cls = encoder(GOLDEN["images"], GOLDEN["masks"])
    torch.testing.assert_close(cls, GOLDEN["cls"], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["hard", "none"])
def test_full_mask_is_the_plain_model(mode: GuidanceMode) -> None:
    vit = _published_vit()
    settings = EncoderSettings(mode, n_guided=4, readout=-1, extra_cls=(), region_means=())
    masks = torch.ones_like(GOLDEN["masks"]) if mode == "hard" else GOLDEN["masks"]
    cls = RegionEncoder(vit, settings)(GOLDEN["images"], masks)
    torch.testing.assert_close(cls, vit(GOLDEN["images"])[:, 0], atol=1e-5, rtol=0)


def test_hard_guidance_opens_at_half_coverage() -> None:
    masks = torch.zeros(1, 1, 28, 42)
    masks[..., :14, :7] = 1  # half of the first patch
    masks[..., 14:, 28:34] = 1  # six columns of fourteen
    bias = Guidance("hard")(masks, (2, 3), 3)
    assert bias is not None
    closed = torch.full((5,), -1e9)
    torch.testing.assert_close(bias, torch.cat([torch.zeros(4), closed])[None])


def test_soft_guidance_values() -> None:
    masks, objects = torch.zeros(1, 1, 14, 28), torch.zeros(1, 1, 14, 28)
    masks[..., :7, :7] = 1  # the first patch, all anomaly, outside the object
    masks[..., :7, 7:9] = 1  # two columns of seven
    objects[..., :7, 7:] = 1
    objects[..., 7:, :7] = 1
    with_objects = Guidance("soft")(masks, (2, 4), 2, objects)
    shares = torch.tensor(
        [1, 2 / 7 + 0.1 * 5 / 7, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01],
    )
    expected = torch.cat([torch.zeros(2), torch.log(shares + 1e-6)])[None]
    torch.testing.assert_close(with_objects, expected)
    everywhere = Guidance("soft")(masks, (2, 4), 2, torch.ones_like(masks))
    torch.testing.assert_close(everywhere, Guidance("soft")(masks, (2, 4), 2))
    assert everywhere is not None
    assert everywhere[0, -1] == pytest.approx(-2.302575, abs=1e-5)


def test_no_guidance_is_none() -> None:
    assert Guidance("none")(torch.ones(1, 1, 14, 14), (2, 2), 1) is None


@torch.no_grad()
def test_bias_reaches_the_cls_row_alone() -> None:
    block = _block()
    tokens = torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(2))
    bias = torch.zeros(2, 17)
    bias[:, 9:] = -1e9
    plain, guided = block(tokens), block(tokens, bias)
    assert torch.equal(plain[:, 1:], guided[:, 1:])
    assert not torch.allclose(plain[:, 0], guided[:, 0], atol=1e-3)
    hidden = tokens.clone()
    hidden[:, 9:] += 1
    torch.testing.assert_close(block(hidden, bias)[:, 0], guided[:, 0])


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_empty_mask_is_finite_in_half_precision(dtype: torch.dtype) -> None:
    block = _block()
    tokens = torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(2))
    bias = Guidance("hard")(torch.zeros(2, 1, 28, 28), (4, 4), 1)
    expected = block(tokens, bias)[:, 0]
    block, tokens = block.to(dtype), tokens.to(dtype)
    for cls in (block(tokens, bias)[:, 0], block.cls_row(tokens, bias)):
        torch.testing.assert_close(cls.float(), expected, atol=0.1, rtol=0.05)
