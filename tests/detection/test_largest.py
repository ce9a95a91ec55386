"""The largest numbers of each column, against NumPy's stable sorting."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from anomalyncd.detection.largest import largest

# Few different numbers, so that many are equal.
NUMBERS = st.sampled_from([-3.0, -1.5, -0.25, 0.0, 0.25, 1.0, 7.0])


@settings(max_examples=200, deadline=None)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, max_side=12))
def test_finds_what_sorting_finds(data: st.DataObject, shape: tuple[int, ...]) -> None:
    numbers = data.draw(arrays(np.float32, shape, elements=NUMBERS))
    count = data.draw(st.integers(1, shape[0]))
    values, rows = largest(numbers, count)
    expected = np.argsort(-numbers, axis=0, kind="stable")[:count]
    assert np.array_equal(rows, expected)
    assert np.array_equal(values, np.take_along_axis(numbers, expected, 0))
