"""The product is told from a plain background, and from nothing else."""

import numpy as np
import pytest
import torch

from anomalyncd.foreground.principal_component import fit_principal_component
from support.token_maps import GRID, block, club, texture, tokens_of

DRAWN = [block(5 + i, 20 - 2 * i, 14, 10) for i in range(6)]


def test_product_is_found_where_it_lies() -> None:
    pictures = [tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]
    product = fit_principal_component(pictures)
    assert product is not None
    for one, mask in zip(pictures, DRAWN, strict=True):
        assert np.array_equal(product.mask(one), mask)
    assert np.array_equal(product.mask(tokens_of(club(1.0), 9)), club(1.0))


@pytest.mark.parametrize("sign", [1, -1])
def test_either_side_of_the_component_may_be_the_product(sign: int) -> None:
    """All tokens negated have the same components, and the product on the other side of them."""
    pictures = [sign * tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]
    product = fit_principal_component(pictures)
    assert product is not None
    assert np.array_equal(product.mask(pictures[2]), DRAWN[2])


def test_holes_are_filled_and_the_largest_piece_is_taken() -> None:
    product = fit_principal_component([tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)])
    assert product is not None
    drawn = DRAWN[1].copy()
    drawn[8:11, 20:23] = False
    drawn[1:4, 2:5] = drawn[30:33, 2:5] = True
    assert np.array_equal(product.mask(tokens_of(drawn)), DRAWN[1])
    open_hole = DRAWN[1].copy()
    open_hole[6:11, 20:22] = False
    assert np.array_equal(product.mask(tokens_of(open_hole)), open_hole)


def test_nothing_is_marked_where_no_product_is() -> None:
    product = fit_principal_component([tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)])
    assert product is not None
    assert not product.mask(tokens_of(np.zeros(GRID, bool))).any()


def test_textures_have_no_background() -> None:
    assert fit_principal_component([texture(seed) for seed in range(6)]) is None


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(block(0, 0, 40, 20), id="half of the picture, up to its border"),
        pytest.param(block(10, 0, 20, 40), id="a bar across the picture"),
        pytest.param(block(20, 20, 3, 3), id="a speck"),
        pytest.param(block(1, 1, 38, 38), id="nearly everything"),
    ],
)
def test_what_is_no_product_before_a_background(mask: np.ndarray) -> None:
    assert fit_principal_component([tokens_of(mask, seed) for seed in range(6)]) is None


def test_one_odd_picture_does_not_matter() -> None:
    pictures = [tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]
    product = fit_principal_component([*pictures, tokens_of(block(0, 0, 40, 20))])
    assert product is not None
    assert product.direction.norm() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(product.mean).all()
