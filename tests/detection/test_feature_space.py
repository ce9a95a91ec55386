"""Patches are compared as unit vectors that say by how much they differ from the common mean."""

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


def tokens(seed: int, shift: float = 3.0) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    common = shift * torch.arange(8.0)[:, None, None]
    patches = [common + torch.randn(8, 5, 6, generator=generator) for _ in range(2)]
    return Tokens(patches, [], (50, 60))


PICTURES = [tokens(seed) for seed in range(5)]


def config(common: float = 2.0) -> DetectorConfig:
    return DetectorConfig(layers=(0, 1), neighbourhoods=(1, 3), common=common)


def test_features_are_unit_vectors_of_each_layer_and_neighbourhood() -> None:
    features = fit_feature_space(PICTURES, config()).features(tokens(9))
    assert [one.shape for one in features] == [(9, 5, 6)] * 4
    for one in features:
        torch.testing.assert_close(one.norm(dim=0), torch.ones(5, 6))


def test_they_point_at_the_token_less_the_mean_and_a_constant() -> None:
    space = fit_feature_space(PICTURES, config())
    new = tokens(9)
    compared = zip(
        space.features(new), pooled(new, (1, 3)), space.means, space.constants, strict=True
    )
    for one, patches, mean, constant in compared:
        apart = one[:-1] / one[-1] * constant
        torch.testing.assert_close(apart + mean[:, None, None], patches, atol=1e-4, rtol=0)


@pytest.mark.parametrize("common", [0.5, 2.0])
def test_constant_is_a_multiple_of_how_far_patches_differ(common: float) -> None:
    space = fit_feature_space(PICTURES, config(common))
    for index, (mean, constant) in enumerate(zip(space.means, space.constants, strict=True)):
        maps = [pooled(one, (1, 3))[index] for one in PICTURES]
        patches = torch.cat([one.flatten(1).T for one in maps])
        torch.testing.assert_close(mean, patches.mean(0))
        distances = (patches - patches.mean(0)).norm(dim=1)
        assert constant == pytest.approx(common * float(distances.square().mean().sqrt()), rel=1e-4)


def angle(first: Tensor, second: Tensor) -> float:
    return float((first * second).sum(0).clamp(-1, 1).arccos().mean())


def test_more_in_common_makes_patches_more_alike() -> None:
    angles = []
    for common in (0.1, 2.0, 50.0):
        space = fit_feature_space(PICTURES, config(common))
        angles.append(angle(space.features(tokens(8))[0], space.features(tokens(9))[0]))
    assert angles[0] > angles[1] > angles[2]


def test_patches_that_never_differ_are_no_trouble() -> None:
    flat = Tokens([torch.arange(8.0)[:, None, None].expand(8, 5, 6)], [], (50, 60))
    alone = DetectorConfig(layers=(0,), neighbourhoods=(1,))
    (features,) = fit_feature_space([flat] * 2, alone).features(flat)
    assert features.isfinite().all()
    assert features[-1].min() > 0.9


def test_bfloat16_tells_the_nearest_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    near = torch.ones(20, 64) + 0.2 * torch.randn(20, 64, generator=generator)
    near = torch.nn.functional.normalize(near, dim=1).bfloat16()
    found = distances(similarities(near.T[:, None], near))
    exact = distances(near.double() @ near.T.double() - 1)
    other = ~torch.eye(20, dtype=torch.bool)
    assert (found / exact - 1)[other].abs().max() < 0.01
