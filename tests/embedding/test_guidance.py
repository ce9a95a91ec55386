"""Where tokens may look: published values, limits, and what stays untouched."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from anomalyncd.backbone.vit import (
    CLS_ROW,
    Block,
    VisionTransformer,
    VitConfig,
)
from anomalyncd.config import EncoderConfig
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.guidance import Guidance, region_shares
from anomalyncd.errors import InputError

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "mgvit.safetensors")
PUBLISHED = VitConfig(patch_size=8, width=24, depth=4, n_heads=2, grid=8)


def _block() -> Block:
    torch.manual_seed(0)
    return Block(VitConfig(7, 32, 1, 4, grid=4))


def _bias(
    mode: str,
    masks: Tensor,
    grid: tuple[int, int],
    n_prefix: int,
    foreground: Tensor | None = None,
    **config: object,
) -> Tensor | None:
    guidance = Guidance(EncoderConfig(mode, **config))
    return guidance(region_shares(masks, grid, foreground), n_prefix)


def _encoder(**config: object) -> RegionEncoder:
    """The published tiny model, all four blocks guided, the CLS token of the last one read."""
    chosen = {"n_guided": 4, "readout": -1, "extra_cls": (), "region_means": (), **config}
    return RegionEncoder(_published_vit(), EncoderConfig(**chosen))


def _published_vit() -> VisionTransformer:
    vit = VisionTransformer(PUBLISHED)
    vit.load_state_dict(
        {k.removeprefix("weights."): v for k, v in GOLDEN.items() if k.startswith("weights.")}
    )
    return vit.eval()


@torch.no_grad()
def test_published_mgvit_block_by_block() -> None:
    vit = _published_vit()
    bias = _bias("hard", GOLDEN["masks"], (8, 8), vit.n_prefix)
    tokens = vit.embed(GOLDEN["images"])
    for index, block in enumerate(vit.blocks):
        tokens = block(tokens, bias if index >= 1 else None)
    torch.testing.assert_close(vit.norm(tokens)[:, 0], GOLDEN["cls"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_published_mgvit_by_the_economical_way() -> None:
    config = EncoderConfig("hard", n_guided=3, readout=-1, extra_cls=(), region_means=())
    encoder = RegionEncoder(_published_vit(), config)
    cls = encoder(GOLDEN["images"], GOLDEN["masks"])
    torch.testing.assert_close(cls, GOLDEN["cls"], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["hard", "none"])
def test_full_mask_is_the_plain_model(mode: str) -> None:
    vit = _published_vit()
    config = EncoderConfig(mode, n_guided=4, readout=-1, extra_cls=(), region_means=())
    masks = torch.ones_like(GOLDEN["masks"]) if mode == "hard" else GOLDEN["masks"]
    cls = RegionEncoder(vit, config)(GOLDEN["images"], masks)
    torch.testing.assert_close(cls, vit(GOLDEN["images"])[:, 0], atol=1e-5, rtol=0)


def test_hard_guidance_opens_at_half_coverage() -> None:
    masks = torch.zeros(1, 1, 28, 42)
    masks[..., :14, :7] = 1  # half of the first patch
    masks[..., 14:, 28:34] = 1  # six columns of fourteen
    bias = _bias("hard", masks, (2, 3), 3)
    assert bias is not None
    closed = torch.full((5,), -1e9)
    torch.testing.assert_close(bias, torch.cat([torch.zeros(4), closed])[None])


def test_soft_guidance_values() -> None:
    masks, foreground = torch.zeros(1, 1, 14, 28), torch.zeros(1, 1, 14, 28)
    masks[..., :7, :7] = 1  # the first patch, all anomaly, outside the object
    masks[..., :7, 7:9] = 1  # two columns of seven
    foreground[..., :7, 7:] = 1
    foreground[..., 7:, :7] = 1
    with_objects = _bias("soft", masks, (2, 4), 2, foreground)
    shares = torch.tensor(
        [1, 2 / 7 + 0.1 * 5 / 7, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01],
    )
    expected = torch.cat([torch.zeros(2), torch.log(shares + 1e-6)])[None]
    torch.testing.assert_close(with_objects, expected)
    everywhere = _bias("soft", masks, (2, 4), 2, torch.ones_like(masks))
    torch.testing.assert_close(everywhere, _bias("soft", masks, (2, 4), 2))
    assert everywhere is not None
    assert everywhere[0, -1] == pytest.approx(-2.302575, abs=1e-5)


def test_factor_is_that_of_the_settings() -> None:
    masks, foreground = torch.zeros(1, 1, 2, 3), torch.tensor([0.0, 1, 0]).expand(1, 1, 2, 3)
    masks[..., 0] = 1
    bias = _bias("soft", masks, (1, 3), 1, foreground, guidance_factor=(4.0, 0.5, 0.25))
    expected = torch.tensor([[1, 4, 0.5, 0.25]]).log()
    torch.testing.assert_close(bias, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"guidance": "strict"},
        {"guided_rows": "none"},
        {"guided_by": "score"},
        {"guidance_factor": (1.0, 0.1, 0.0)},
        {"guidance_factor": (1.0, 0.1)},
        {"n_guided": -1},
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(InputError, match=f"encoder.{name}="):
        EncoderConfig(**wrong)


def test_learned_guidance_starts_as_soft_and_changes_the_trained_block_alone() -> None:
    config = EncoderConfig("learned", guidance_factor=(1.0, 0.2, 0.03))
    guidance, shares = Guidance(config), torch.rand(2, 3, 2, 2)
    soft = Guidance(EncoderConfig("soft", guidance_factor=(1.0, 0.2, 0.03)))(shares, 1)
    for trained in (False, True):
        torch.testing.assert_close(guidance(shares, 1, trained=trained), soft)
    guidance(shares, 1, trained=True).sum().backward()
    assert guidance.log_factor.grad is not None
    assert (guidance.log_factor.grad > 0).all()
    guidance.log_factor.data[1] += 1
    torch.testing.assert_close(guidance(shares, 1), soft)
    assert (guidance(shares, 1, trained=True)[:, 1:] > soft[:, 1:]).all()
    learnt = guidance.learnt_factor
    assert learnt == pytest.approx(
        {"anomaly": 1.0, "product": 0.2 * torch.e, "background": 0.03}, rel=1e-5
    )


@pytest.mark.parametrize("config", [{"guided_rows": "patches"}, {"n_guided": 0}])
def test_learned_guidance_needs_a_guided_readout(config: dict[str, object]) -> None:
    with pytest.raises(InputError, match="raise n_guided"):
        _encoder(guidance="learned", **config)


def test_no_guidance_is_none() -> None:
    assert _bias("none", torch.ones(1, 1, 14, 14), (2, 2), 1) is None


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
@pytest.mark.parametrize("rows", [CLS_ROW, slice(1, None), slice(None)])
def test_bias_of_some_rows_is_that_of_the_whole_matrix(rows: slice) -> None:
    attention = _block().attn
    tokens = torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(2))
    bias = torch.randn(2, 17, generator=torch.Generator().manual_seed(3))
    query, key, value = attention.qkv(tokens).view(2, 17, 3, 4, 8).permute(2, 0, 3, 1, 4)
    affinity = query @ key.transpose(-1, -2) / 8**0.5
    affinity[:, :, rows] += bias[:, None, None]
    expected = (affinity.softmax(-1) @ value).transpose(1, 2).flatten(2)
    guided = attention(tokens, bias, rows)
    torch.testing.assert_close(guided, attention.proj(expected), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_rows_that_are_guided_are_those_of_the_settings() -> None:
    """Blocks before the last one guide the rows named, the last one the CLS token's if named."""
    images, masks = GOLDEN["images"], GOLDEN["masks"]
    outputs = {
        rows: _encoder(guidance="hard", guided_rows=rows).frozen_features(images, masks)
        for rows in ("cls", "patches", "all")
    }
    plain = _encoder(guidance="none").frozen_features(images, masks)
    first = {
        rows: _encoder(guidance="hard", guided_rows=rows, readout=1)
        .frozen_features(images, masks)
        .tokens
        for rows in ("cls", "patches", "all")
    }
    unguided = _encoder(guidance="none", readout=1).frozen_features(images, masks).tokens
    assert torch.equal(first["cls"][:, 1:], unguided[:, 1:])
    assert torch.equal(first["patches"][:, 0], unguided[:, 0])
    torch.testing.assert_close(first["all"][:, 0], first["cls"][:, 0])
    torch.testing.assert_close(first["all"][:, 1:], first["patches"][:, 1:])
    assert not torch.allclose(first["all"], unguided, atol=1e-3)
    for rows, features in outputs.items():
        encoder = _encoder(guidance="hard", guided_rows=rows)
        unbiased = _encoder(guidance="none").read(features)
        assert torch.equal(encoder.read(features), unbiased) == (rows == "patches")
    assert not torch.allclose(outputs["patches"].tokens, plain.tokens, atol=1e-3)


@torch.no_grad()
def test_maps_lead_in_place_of_masks_which_still_weigh_the_region_mean() -> None:
    images, masks = GOLDEN["images"], GOLDEN["masks"]
    encoder = _encoder(guidance="soft", region_means=(0,), n_guided=3)
    by_mask, by_map = (
        encoder.frozen_features(images, masks),
        encoder.frozen_features(images, masks, maps=1 - masks),
    )
    torch.testing.assert_close(by_map.shares[:, 0], 1 - by_mask.shares[:, 0])
    assert torch.equal(by_map.frozen, by_mask.frozen)
    assert not torch.allclose(encoder.read(by_map), encoder.read(by_mask), atol=1e-3)


@torch.no_grad()
def test_attention_is_that_of_the_softmax_before_and_after_guidance() -> None:
    encoder = _encoder(guidance="hard")
    features = encoder.frozen_features(GOLDEN["images"], GOLDEN["masks"])
    attention = encoder.attention(features)
    block = encoder.vit.blocks[-1]
    query, key, _ = block.attn.qkv(block.norm1(features.tokens)).chunk(3, dim=-1)
    heads = [one.unflatten(2, (2, 12)).transpose(1, 2) for one in (query, key)]
    rows = torch.einsum("bhd,bhtd->bht", heads[0][:, :, 0], heads[1]) / 12**0.5
    open_patches = features.shares[:, 0].flatten(1) >= 0.5
    expected = rows.softmax(-1).mean(1)[:, 1:]
    torch.testing.assert_close(attention[:, 0].flatten(1), expected, atol=1e-5, rtol=0)
    assert attention[:, 1].flatten(1)[~open_patches].max() == 0
    assert (attention[:, 1] >= attention[:, 0] - 1e-6).flatten(1)[open_patches].all()


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_empty_mask_is_finite_in_half_precision(dtype: torch.dtype) -> None:
    block = _block()
    tokens = torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(2))
    bias = _bias("hard", torch.zeros(2, 1, 28, 28), (4, 4), 1)
    expected = block(tokens, bias)[:, 0]
    block, tokens = block.to(dtype), tokens.to(dtype)
    for cls in (block(tokens, bias)[:, 0], block.cls_row(tokens, bias)):
        torch.testing.assert_close(cls.float(), expected, atol=0.1, rtol=0.05)
