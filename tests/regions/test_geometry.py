import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from anomalyncd.regions.geometry import shape_descriptor


def _size_elongation_solidity_scatter(mask, image_area=10_000):
    return shape_descriptor(mask, image_area).tolist()


def test_a_square_a_bar_and_a_disc():
    square = np.zeros((50, 50), bool)
    square[10:20, 10:20] = True
    assert _size_elongation_solidity_scatter(square) == pytest.approx([0.5, 0, 1, 0], abs=1e-6)
    bar = np.zeros((50, 50), bool)
    bar[10:12, 5:45] = True
    assert _size_elongation_solidity_scatter(bar)[1:] == pytest.approx([np.log10(20), 1, 0])
    y, x = np.mgrid[:50, :50]
    disc = np.hypot(y - 25, x - 25) < 20
    assert _size_elongation_solidity_scatter(disc)[1:] == pytest.approx([0, 0.97, 0], abs=0.03)


def test_elongation_does_not_depend_on_direction():
    y, x = np.mgrid[:80, :80]
    diagonal = (np.abs(y - x) < 12) & (np.abs(y + x - 80) < 50)
    upright = (np.abs(x - 40) < 12 / 2**0.5) & (np.abs(y - 40) < 50 / 2**0.5)
    one, other = shape_descriptor(diagonal, 6400)[1], shape_descriptor(upright, 6400)[1]
    assert one == pytest.approx(other, abs=0.03)


def test_holes_and_parts():
    two = np.zeros((20, 60), bool)
    two[5:15, 5:15] = two[5:15, 45:55] = True
    _, _, solidity, scatter = _size_elongation_solidity_scatter(two)
    assert solidity == pytest.approx(200 / 500)
    assert scatter == 0.5


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(0, 10**8))
def test_any_mask_gives_finite_numbers_of_unit_range(mask, more):
    descriptor = shape_descriptor(mask, mask.size + more)
    assert descriptor.dtype == np.float32
    assert descriptor.shape == (4,)
    assert np.isfinite(descriptor).all()
    assert (descriptor >= -1e-6).all()
    assert (descriptor[[0, 2, 3]] <= 1 + 1e-6).all()
    assert descriptor[1] < 2
    assert mask.any() or not descriptor.any()
