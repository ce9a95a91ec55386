"""Blank images, copies and mixed colours are said; photographs that are merely alike are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.inputs.inputs import check_inputs
from support.quick import picture

Pixels = NDArray[np.uint8]


def _good(count: int) -> list[Pixels]:
    return [picture("good", seed) for seed in range(count)]


def _said(images: list[Pixels], **further: object) -> tuple[str, ...]:
    return check_inputs(images, **further).warnings


def _saved_again(pixels: Pixels, quality: int = 95) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return np.array(Image.open(file))


def _even(seed: int) -> Pixels:
    """An even surface under one light, whose photographs differ by the noise of the camera."""
    noise = np.random.default_rng(seed).normal(0, 3, (256, 256, 1))
    light = np.linspace(90, 160, 256)[:, None, None]
    return np.repeat(light + noise, 3, axis=2).clip(0, 255).astype(np.uint8)


def test_usual_images_give_no_warning() -> None:
    assert _said([picture(kind, seed) for seed in range(6) for kind in ("good", "spot")]) == ()


def test_photographs_of_an_even_surface_are_no_copies() -> None:
    assert _said([_even(seed) for seed in range(8)]) == ()


@pytest.mark.parametrize(
    "blank",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64, 3), 255, np.uint8),
        np.random.default_rng(0).integers(10, 14, (64, 64, 3), np.uint8),
    ],
    ids=["black", "white", "noise of a dark frame"],
)
def test_blank_images_are_said(blank: Pixels) -> None:
    (warning,) = _said([*_good(3), blank, blank])
    assert warning.startswith("2 images are blank, '003' first: ")
    (warning,) = _said([*_good(3), blank])
    assert warning.startswith("1 image is blank, '003' first: ")


def test_a_hot_pixel_is_no_contrast_and_a_faint_defect_is() -> None:
    dark = np.zeros((64, 64, 3), np.uint8)
    dark[20, 30] = 255
    assert "1 image is blank" in _said([*_good(2), dark])[0]
    dark[40:44, 20:24] = 20
    assert _said([*_good(2), dark]) == ()


def test_copies_are_said_with_their_first_image() -> None:
    images = _good(4)
    (warning,) = _said([*images, images[1], images[1].copy()])
    assert warning.startswith("2 images are copies of another, pixel for pixel: '004' of '001'. ")


def test_an_image_of_other_shape_with_the_same_bytes_is_no_copy() -> None:
    tall = np.random.default_rng(0).integers(0, 255, (60, 20, 3), np.uint8)
    assert _said([tall, tall.reshape(20, 60, 3)]) == ()


@pytest.mark.parametrize(
    "again",
    [_saved_again, np.copy, lambda pixels: pixels ^ np.uint8(1)],
    ids=["JPEG", "as it is", "lowest bit"],
)
def test_a_photograph_saved_twice_is_said(again: Callable[[Pixels], Pixels]) -> None:
    images = [_even(seed) for seed in range(4)]
    warnings = _said([*images, again(images[2])])
    assert len(warnings) == 1
    assert "'004' " in warnings[0]
    assert "'002'" in warnings[0]


def test_normal_images_are_named_as_such() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    (warning,) = _said(_good(3), normals=[*_good(2), black])
    assert warning.startswith("1 image is blank (among the normal images), '002' first: ")


@pytest.mark.parametrize(("n_grey", "said"), [(0, False), (1, False), (5, True), (9, False)])
def test_grey_among_coloured_images_is_said_if_both_are_frequent(n_grey: int, said: bool) -> None:
    images = _good(10)
    grey = [np.repeat(pixels[..., :1], 3, axis=2) for pixels in images]
    warnings = _said([*grey[:n_grey], *images[n_grey:]])
    assert bool(warnings) == said
    if said:
        assert warnings[0].startswith("5 of 10 images are grey, the others have colour. ")


def test_a_hot_pixel_makes_no_deep_image_blank() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(1700, 2000, (64, 64), np.uint16) for _ in range(3)]
    frames[1][7, 11] = 65535
    assert _said(frames) == ()
    frames[2][:] = 1800
    assert _said(frames)[0].startswith("1 image is blank, '002' first: ")
