"""The foreground is separated from a plain background, if there is one."""

import numpy as np
import pytest
import torch

from anomalyncd.foreground.components import largest_components
from anomalyncd.foreground.principal_component import fit_principal_component
from support.token_maps import GRID, block, club, texture, tokens_of

DRAWN = [block(5 + i, 20 - 2 * i, 14, 10) for i in range(6)]


def test_the_foreground_is_found() -> None:
    images = [tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]
    component = fit_principal_component(images)
    assert component is not None
    for patches, mask in zip(images, DRAWN, strict=True):
        assert np.array_equal(component.mask(patches), mask)
    assert np.array_equal(component.mask(tokens_of(club(1.0), 9)), club(1.0))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_foreground_may_lie_on_either_side(sign: int) -> None:
    """Negated tokens have the same principal component, with the foreground on its other side."""
    images = [sign * tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]
    component = fit_principal_component(images)
    assert component is not None
    assert np.array_equal(component.mask(images[2]), DRAWN[2])


def test_the_largest_connected_component_is_filled() -> None:
    component = fit_principal_component([tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)])
    assert component is not None
    drawn = DRAWN[1].copy()
    drawn[8:11, 20:23] = False
    drawn[1:4, 2:5] = drawn[30:33, 2:5] = True
    assert np.array_equal(component.mask(tokens_of(drawn)), DRAWN[1])
    open_hole = DRAWN[1].copy()
    open_hole[6:11, 20:22] = False
    assert np.array_equal(component.mask(tokens_of(open_hole)), open_hole)


def test_an_image_without_the_product_has_no_foreground() -> None:
    component = fit_principal_component([tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)])
    assert component is not None
    assert not component.mask(tokens_of(np.zeros(GRID, bool))).any()


def test_a_foreground_that_blends_with_the_background_is_not_separated() -> None:
    images = []
    for seed in range(6):
        noise = torch.randn(8, *GRID, generator=torch.Generator().manual_seed(seed))
        images.append(tokens_of(block(10, 10, 20, 20), seed) + noise)
    assert fit_principal_component(images) is None


def test_textures_have_no_plain_background() -> None:
    assert fit_principal_component([texture(seed) for seed in range(6)]) is None


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(block(0, 0, 40, 20), id="half of the image, up to its border"),
        pytest.param(block(10, 0, 20, 40), id="a bar across the image"),
        pytest.param(block(20, 20, 3, 3), id="a speck"),
        pytest.param(block(1, 1, 38, 38), id="nearly everything"),
    ],
)
def test_other_areas_are_no_foreground(mask: np.ndarray) -> None:
    assert fit_principal_component([tokens_of(mask, seed) for seed in range(6)]) is None


def test_one_different_image_does_not_matter() -> None:
    images = [tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]
    component = fit_principal_component([*images, tokens_of(block(0, 0, 40, 20))])
    assert component is not None
    assert component.direction.norm() == pytest.approx(1, abs=1e-5)
    for patches, mask in zip(images, DRAWN, strict=True):
        assert np.array_equal(component.mask(patches), mask)


def test_small_components_are_left_out() -> None:
    large, small, speck = block(5, 4, 10, 10), block(22, 24, 4, 5), block(35, 3, 3, 3)
    for count, expected in ((1, large), (2, large | small), (5, large | small)):
        assert np.array_equal(largest_components(large | small | speck, count), expected)
    assert not largest_components(np.zeros(GRID, bool), 3).any()


def test_a_smooth_mask_is_finer_than_patches() -> None:
    component = fit_principal_component([tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)])
    assert component is not None
    disc = np.hypot(*(np.mgrid[:40, :40] - 19.5)) < 9
    smooth = component.smooth_mask(tokens_of(disc), (400, 400), 1)
    assert (smooth[5::10, 5::10] ^ disc).sum() < 0.1 * disc.sum()
    within_patches = smooth.reshape(40, 10, 40, 10).mean((1, 3))
    assert ((within_patches > 0) & (within_patches < 1)).sum() > 20


def test_gaps_narrower_than_half_a_patch_are_closed() -> None:
    component = fit_principal_component([tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)])
    assert component is not None
    whole, split = block(10, 10, 20, 20), block(10, 10, 20, 20)
    split[:, 20] = False
    tokens = [0.8 * tokens_of(whole, seed) + 0.2 * tokens_of(split, seed) for seed in range(99)]
    without_noise = torch.stack(tokens).mean(0)
    assert component.mask(without_noise).sum() == 200
    assert component.smooth_mask(without_noise, (400, 400), 1).sum() > 35_000
