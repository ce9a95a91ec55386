"""Patches are compared as unit vectors of normalised tokens without their mean."""

import pytest
import torch
from torch import Tensor

from anomalyncd.backbone.features import Tokens
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import (
    distances,
    fit_feature_space,
    pooled,
    similarities,
)


def tokens_of(seed: int) -> Tokens:
    """Tokens of two layers, with much in common."""
    generator = torch.Generator().manual_seed(seed)
    common = 3 * torch.arange(8.0)[:, None, None]
    patches = [common + torch.randn(8, 5, 6, generator=generator) for _ in range(2)]
    return Tokens(patches, [], (50, 60))


IMAGES = [tokens_of(seed) for seed in range(5)]


def config(common: float = 2.0) -> DetectorConfig:
    return DetectorConfig(layers=(0, 1), neighbourhoods=(1, 3), common=common)


def test_tokens_are_normalised_over_the_whole_image() -> None:
    tokens = tokens_of(1)
    for layer in pooled(tokens, (1,)):
        assert float(layer.mean()) == pytest.approx(0, abs=1e-5)
        assert float(layer.var(correction=0)) == pytest.approx(1, abs=1e-3)
    scaled = Tokens([7 * patches + 100 for patches in tokens.patches], [], tokens.size)
    for layer, of_scaled in zip(pooled(tokens, (1, 3)), pooled(scaled, (1, 3)), strict=True):
        torch.testing.assert_close(layer, of_scaled, atol=1e-3, rtol=0)


def test_neighbourhoods_are_averaged_with_zeros_outside() -> None:
    single, averaged = pooled(Tokens(tokens_of(1).patches[:1], [], (50, 60)), (1, 3))
    torch.testing.assert_close(averaged[:, 2, 3], single[:, 1:4, 2:5].mean((1, 2)))
    torch.testing.assert_close(averaged[:, 0, 0], single[:, :2, :2].sum((1, 2)) / 9)


def test_features_are_unit_vectors_of_each_layer_and_neighbourhood() -> None:
    features = fit_feature_space(IMAGES, config()).features(tokens_of(9))
    assert [layer.shape for layer in features] == [(9, 5, 6)] * 4
    for layer in features:
        torch.testing.assert_close(layer.norm(dim=0), torch.ones(5, 6))


def test_they_point_at_the_token_less_the_mean_and_a_constant() -> None:
    space = fit_feature_space(IMAGES, config())
    tokens = tokens_of(9)
    compared = zip(
        space.features(tokens), pooled(tokens, (1, 3)), space.means, space.constants, strict=True
    )
    for unit, patches, mean, constant in compared:
        centred = unit[:-1] / unit[-1] * constant
        torch.testing.assert_close(centred + mean[:, None, None], patches, atol=1e-4, rtol=0)


@pytest.mark.parametrize("common", [0.5, 2.0])
def test_the_constant_is_a_multiple_of_the_distance_from_the_mean(common: float) -> None:
    space = fit_feature_space(IMAGES, config(common))
    for index, (mean, constant) in enumerate(zip(space.means, space.constants, strict=True)):
        maps = [pooled(tokens, (1, 3))[index] for tokens in IMAGES]
        patches = torch.cat([patches.flatten(1).T for patches in maps])
        torch.testing.assert_close(mean, patches.mean(0))
        from_mean = (patches - patches.mean(0)).norm(dim=1)
        assert constant == pytest.approx(common * float(from_mean.square().mean().sqrt()), rel=1e-4)


def angle(first: Tensor, second: Tensor) -> float:
    return float((first * second).sum(0).clamp(-1, 1).arccos().mean())


def test_a_larger_constant_makes_patches_more_similar() -> None:
    angles = []
    for common in (0.1, 2.0, 50.0):
        space = fit_feature_space(IMAGES, config(common))
        angles.append(angle(space.features(tokens_of(8))[0], space.features(tokens_of(9))[0]))
    assert angles[0] > angles[1] > angles[2]


def test_equal_patches_have_finite_features() -> None:
    equal = Tokens([torch.arange(8.0)[:, None, None].expand(8, 5, 6)], [], (50, 60))
    single = DetectorConfig(layers=(0,), neighbourhoods=(1,))
    (features,) = fit_feature_space([equal] * 2, single).features(equal)
    assert features.isfinite().all()
    assert features[-1].min() > 0.9


def test_small_distances_are_exact_in_bfloat16() -> None:
    generator = torch.Generator().manual_seed(0)
    near = torch.ones(20, 64) + 0.2 * torch.randn(20, 64, generator=generator)
    near = torch.nn.functional.normalize(near, dim=1).bfloat16()
    computed = distances(similarities(near.T[:, None], near))
    exact = distances(near.double() @ near.T.double() - 1)
    different = ~torch.eye(20, dtype=torch.bool)
    assert (computed / exact - 1)[different].abs().max() < 0.01
