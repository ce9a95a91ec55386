"""The pieces of a descriptor: what each of them is computed from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from anomalyncd import InputError
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.embedding.encoder import RegionEncoder
from support.quick import QUICK

WIDTH, SIDE = 16, 32


@pytest.fixture
def plain(tiny: Path) -> RegionEncoder:
    """Unguided: the mean token of block 1, then the CLS token of block 2."""
    return RegionEncoder(load_backbone("tiny", tiny), replace(QUICK.encoder, guidance="none"))


def _crops() -> tuple[torch.Tensor, torch.Tensor]:
    """Three images, and masks of which some patches are covered in part."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(3, 1, SIDE, SIDE)
    masks[0, :, :12, :20] = 1
    masks[1, :, 16:, 8:24] = 1
    return torch.randn(3, 3, SIDE, SIDE, generator=generator), masks


def test_region_mean_is_the_mean_of_the_patch_tokens_under_the_mask(plain: RegionEncoder) -> None:
    images, masks = _crops()
    with torch.no_grad():
        features = plain.frozen_features(images, masks)
        patches = plain.vit.tokens_after(images, [1])[1][:, 1:]
    weights = functional.avg_pool2d(masks, 8).flatten(1)
    weights[2] = 1  # The mean of all patches stands in for that of an empty mask.
    expected = (weights[:, :, None] * patches).sum(1) / weights.sum(1, keepdim=True)
    torch.testing.assert_close(features.frozen[:, :WIDTH], expected, atol=1e-5, rtol=1e-4)


def test_extra_cls_is_the_normalised_cls_token_of_its_block(plain: RegionEncoder) -> None:
    images, masks = _crops()
    with torch.no_grad():
        features = plain.frozen_features(images, masks)
        cls = plain.vit.tokens_after(images, [2])[2][:, 0]
    expected = functional.layer_norm(cls, (WIDTH,))
    torch.testing.assert_close(features.frozen[:, WIDTH:], expected, atol=1e-5, rtol=1e-4)


def test_descriptor_begins_with_the_normalised_cls_token_of_the_readout(
    plain: RegionEncoder,
) -> None:
    images, masks = _crops()
    with torch.no_grad():
        pieces = plain(images, masks)
        expected = plain.vit.norm(plain.vit.tokens_after(images, [3])[3][:, 0])
    assert plain.widths == (WIDTH,) * 3
    torch.testing.assert_close(pieces[:, :WIDTH], expected, atol=1e-5, rtol=1e-4)


def test_blocks_behind_the_readout_are_refused(tiny: Path) -> None:
    vit = load_backbone("tiny", tiny)
    with pytest.raises(InputError, match="block 3 does not lie before the readout 3"):
        RegionEncoder(vit, replace(QUICK.encoder, extra_cls=(3,)))
