import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anomalyncd.regions.crops import crop

_EDGES = st.integers(-80, 80).map(lambda quarter: quarter / 4)
_SIDES = st.integers(1, 90)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), _EDGES, _EDGES, _SIDES)
def test_zero_filled_crops_are_those_of_pillow(height, width, left, top, side):
    image = np.random.default_rng(0).integers(1, 255, (height, width, 3), np.uint8)
    box = np.array([left, top, left + side, top + side])
    expected = np.asarray(Image.fromarray(image).crop(tuple(box.tolist())))
    assert np.array_equal(crop(image, box, "zero"), expected)
    assert np.array_equal(crop(image[..., 0] > 99, box, "zero"), expected[..., 0] > 99)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), *[st.integers(0, 30)] * 4)
def test_reflection_is_that_of_numpy(height, width, left, top, right, bottom):
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    box = np.array([-left, -top, width + right, height + bottom], np.float64)
    padding = ((top, bottom), (left, right), (0, 0))
    expected = np.pad(image, padding, "reflect")
    assert np.array_equal(crop(image, box, "reflect"), expected)


def test_a_crop_inside_the_image_is_not_copied():
    image = np.zeros((9, 9), np.uint8)
    assert np.shares_memory(crop(image, np.array([1.0, 2, 5, 6]), "reflect"), image)
    assert crop(image[:1], np.array([-3.0, -4, 5, 4]), "reflect").shape == (8, 8)
