"""What of a region's description tells it from others."""

import numpy as np
import pytest
import torch

from anomalyncd.discovery.classifier import Descriptor


def test_parts_are_centred_and_of_equal_length() -> None:
    parts = torch.tensor([[1.0, 0.0, 5.0, 5.0], [-1.0, 0.0, 5.0, 7.0]])
    descriptor = Descriptor((2, 2), centred=True)
    descriptor.fit(parts)
    half = 0.5**0.5
    expected = torch.tensor([[half, 0.0, 0.0, -half], [-half, 0.0, 0.0, half]])
    assert torch.allclose(descriptor(parts), expected)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_what_rounding_leaves_tells_nothing(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    alike = scale * (torch.ones(5, 8) + 1e-3 * torch.randn(5, 8, generator=generator))
    descriptor = Descriptor((8,), centred=True)
    descriptor.fit(alike)
    assert torch.equal(descriptor(alike), torch.zeros(5, 8))
    other = descriptor(scale * torch.linspace(0.5, 1.5, 8)[None])
    assert other.norm().item() == pytest.approx(1)


def test_directions_in_which_normal_regions_vary_are_damped() -> None:
    generator = torch.Generator().manual_seed(0)
    place = torch.randn(40, 1, generator=generator) * torch.tensor([[1.0, 0, 0, 0]])
    normal = torch.nn.functional.normalize(place + torch.tensor([[0, 1.0, 0, 0]]), dim=1)
    kinds = torch.tensor([[0.0, 0, 1, 0], [0.0, 0, 0, 1]])
    looks = torch.cat([kinds[0] + place[:20], kinds[1] + place[20:]])
    descriptor = Descriptor((4,), centred=False)
    before = descriptor(looks)
    descriptor.fit_damping(normal)
    after = descriptor(looks)
    assert torch.allclose(after.norm(dim=1), torch.ones(40))
    assert (before @ before.T)[0, 1:20].min() < 0
    assert (after @ after.T)[:20, :20].min() > (after @ after.T)[:20, 20:].max()


def test_few_normal_regions_damp_nothing_and_known_kinds_do() -> None:
    generator = torch.Generator().manual_seed(0)
    looks = torch.nn.functional.normalize(torch.randn(9, 6, generator=generator), dim=1)
    descriptor = Descriptor((6,), centred=False)
    descriptor.fit_damping(looks)
    assert torch.allclose(descriptor(looks), looks)
    descriptor.fit_damping(looks[:0], [looks[:5], looks[5:]])
    assert not torch.allclose(descriptor(looks), looks, atol=0.01)


SHAPES = torch.tensor([[0.0, 0.1], [0.0, 0.0], [1.0, 3.0], [2.0, 3.1]]).double()


def test_shapes_count_only_where_they_fall_into_groups() -> None:
    looks = torch.nn.functional.normalize(torch.ones(4, 3), dim=1)
    descriptor = Descriptor((3,), centred=False, shape_weight=0.5)
    unused = descriptor(looks, SHAPES)
    assert torch.equal(unused, torch.cat([looks, torch.zeros(4, 2)], 1))
    groups = SHAPES[[0, 1, 2, 3]].repeat(5, 1) + 0.01 * torch.arange(20)[:, None]
    groups[:, 0] = torch.linspace(0, 1, 20)
    assert descriptor.fit_shape(groups.numpy())
    used = descriptor(looks, SHAPES)
    assert torch.equal(used[:, 3], torch.zeros(4))  # sizes have no groups
    assert (used @ used.T)[0, 1] > 0.99
    assert (used @ used.T)[0, 2] < 0.9
    assert torch.allclose(used.norm(dim=1), torch.ones(4))


def test_a_region_without_a_shape_is_average() -> None:
    looks = torch.nn.functional.normalize(torch.ones(1, 3), dim=1)
    descriptor = Descriptor((3,), centred=False, shape_weight=0.5)
    descriptor.fit_shape(np.stack([np.repeat([0, 5.0], 10), np.linspace(0, 1, 20)], axis=1))
    unknown = torch.full((1, 2), torch.nan)
    assert torch.equal(descriptor(looks, unknown), descriptor(looks))
    assert not torch.equal(descriptor(looks, torch.zeros(1, 2)), descriptor(looks))


def test_without_a_weight_nothing_is_joined() -> None:
    looks = torch.nn.functional.normalize(torch.ones(1, 3), dim=1)
    descriptor = Descriptor((3,), centred=False)
    assert not descriptor.fit_shape(SHAPES.repeat(5, 1).numpy())
    assert torch.allclose(descriptor(looks, SHAPES[:1]), looks)
