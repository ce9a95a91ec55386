"""The largest numbers of each column, against NumPy's stable sorting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from anomalyncd.detection.feature_space import nearest
from anomalyncd.detection.largest import largest

# Few different numbers, so that many are equal; -0 and 0 have different bits.
NUMBERS = st.sampled_from([-3.0, -1.5, -0.25, 0.0, 0.25, 1.0, 7.0])


@settings(max_examples=200, deadline=None)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, max_side=12))
def test_finds_what_sorting_finds(data: st.DataObject, shape: tuple[int, ...]) -> None:
    numbers = data.draw(arrays(np.float32, shape, elements=NUMBERS))
    count = data.draw(st.integers(1, shape[0]))
    bits, rows = largest(numbers.view(np.int32), count)
    expected = np.argsort(-numbers, axis=0, kind="stable")[:count]
    assert np.array_equal(rows, expected)
    assert np.array_equal(bits.view(np.float32), np.take_along_axis(numbers, expected, 0))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_each_precision_finds_what_pytorch_finds(precision: torch.dtype) -> None:
    numbers = torch.linspace(-2, 0.1, 84)[torch.randperm(84)].view(12, 7).to(precision)
    values, index = nearest(numbers, 4)
    expected = numbers.topk(4, dim=0)
    assert torch.equal(values, expected.values)
    assert torch.equal(numbers.gather(0, index), expected.values)
    assert index.dtype == torch.int64
