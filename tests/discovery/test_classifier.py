"""What of a region's description tells it from others."""

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
