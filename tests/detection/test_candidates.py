"""Candidates are found in principal components and compared in all coordinates."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from anomalyncd.detection.candidates import (
    from_bfloat16,
    principal_directions,
    similarities_of,
)

N_COMPONENTS = 128


def bits_of(vectors: torch.Tensor) -> np.ndarray:
    return vectors.bfloat16().view(torch.int16).numpy().view(np.uint16)


def random(count: int, width: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(count))


def test_numbers_are_those_of_pytorch() -> None:
    vectors = random(5, 7).bfloat16()
    assert np.array_equal(from_bfloat16(bits_of(vectors)), vectors.float().numpy())


@pytest.mark.parametrize("width", [1, 7, 16, 385])
def test_similarities_are_those_of_all_coordinates(width: int) -> None:
    vectors, patches = normalize(random(9, width)), normalize(random(4, width))
    rows = np.array([[0, 8, 3, 3], [1, 0, 3, 7], [5, 5, 5, 5]])
    found = similarities_of(patches.numpy(), bits_of(vectors), rows)
    expected = vectors.bfloat16().double() @ patches.double().T - 1
    np.testing.assert_allclose(found, expected.gather(0, torch.from_numpy(rows)), atol=1e-6)


def test_few_coordinates_are_all_compared() -> None:
    assert principal_directions(bits_of(random(300, N_COMPONENTS)), N_COMPONENTS) is None
    assert principal_directions(bits_of(random(300, N_COMPONENTS + 1)), N_COMPONENTS) is not None


def test_directions_are_those_in_which_vectors_are_long() -> None:
    """Vectors with a common part, which is not subtracted, in a subspace with little around it."""
    width = N_COMPONENTS + 20
    subspace = torch.linalg.qr(random(width, N_COMPONENTS))[0]
    vectors = (3 + random(400, N_COMPONENTS)) @ subspace.T + 0.01 * random(400, width)
    directions = principal_directions(bits_of(vectors), N_COMPONENTS)
    assert directions is not None
    assert directions.shape == (width, N_COMPONENTS)
    np.testing.assert_allclose(directions.T @ directions, np.eye(N_COMPONENTS), atol=1e-5)
    kept = (vectors.numpy() @ directions) @ directions.T
    assert np.abs(kept - vectors.numpy()).max() < 0.1
    shares = np.square(vectors.numpy() @ directions).sum(0)
    assert shares[0] > 5 * shares[1]


def test_directions_are_computed_from_vectors_all_over() -> None:
    """The references come one after the other, and each may show what no other shows."""
    width = N_COMPONENTS + 1
    vectors = torch.zeros(50_000, width)
    vectors[:-3000, : N_COMPONENTS - 1] = 0.1 * random(47_000, N_COMPONENTS - 1)
    vectors[-3000:, -1] = 1
    directions = principal_directions(bits_of(vectors), N_COMPONENTS)
    assert directions is not None
    np.testing.assert_allclose(np.linalg.norm(directions[-1]), 1, atol=1e-3)
