"""Doubts about classes: no gap, empty classes, and classes that follow size or colour."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.labels.state import class_names
from anomalyncd.regions.calibration import Calibration
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.regions.table import CodedMasks
from anomalyncd.results.class_warnings import class_warnings, standing_out
from anomalyncd.results.predictions import Predictions

RANGE = ScoreRange(1.0, 2.0)
CLEAR = np.repeat([0.0, 0.9], 10)


def _inputs(n_images: int) -> Inputs:
    images = ImageSet.from_list([np.zeros((4, 4), np.uint8)] * n_images)
    return Inputs(images, np.full((n_images, 2), 4), grey=np.zeros(n_images, bool))


def _predictions(assigned: list[int], n_classes: int, scores: np.ndarray = CLEAR) -> Predictions:
    classes = np.array(assigned)
    images = pd.DataFrame({"class": classes, "normal": classes == 0, "score": scores})
    index = np.arange(n_classes)
    counts = np.bincount(classes, minlength=n_classes)
    table = pd.DataFrame(
        {
            "class": index,
            "class_name": class_names(n_classes),
            "normal": index == 0,
            "n_images": counts,
        }
    ).assign(n_regions=counts)
    empty = np.zeros((0, 0), np.float32)
    return Predictions(images, images, table, empty, empty, CodedMasks(()), np.zeros((0, 0)))


USUAL = [0] * 10 + [1] * 6 + [2] * 4


def test_classes_with_a_gap_give_no_warning() -> None:
    assert class_warnings(_predictions(USUAL, 3), _inputs(20), RANGE) == []


@pytest.mark.parametrize(
    ("n_images", "score_range", "said"),
    [
        (20, ScoreRange(1.0, 1.4), True),
        (20, ScoreRange(1.0, 1.9), False),
        (20, ScoreRange(1.0, 1.4, calibration=Calibration(1.0, 0.1)), False),
        (20, ScoreRange(-1.0, -0.5), False),
        (20, None, False),
        (9, ScoreRange(1.0, 1.4), False),
    ],
    ids=["all alike", "one far above", "long tail", "no zero", "masks", "too few"],
)
def test_it_is_said_that_nothing_stands_out(
    n_images: int, score_range: ScoreRange | None, said: bool
) -> None:
    found = _predictions(USUAL[-n_images:], 3, np.linspace(0, 1, n_images))
    if n_images < 20:
        found = _predictions([0, 0, 0, 1, 1, 1, 2, 2, 2], 3, np.linspace(0, 1, n_images))
    warnings = class_warnings(found, _inputs(n_images), score_range)
    assert [text.startswith("Nothing stands out: ") for text in warnings] == [True] * said


def test_the_zero_of_other_maps_means_nothing() -> None:
    inputs, found = _inputs(20), _predictions(USUAL, 3, np.linspace(0, 1, 20))
    maps = AnomalyMaps.from_list([np.zeros((4, 4), np.float32)] * 20, inputs.images)
    for given in (replace(inputs, maps=maps), replace(inputs, normals=inputs.images)):
        assert class_warnings(found, given, ScoreRange(1.0, 1.4)) == []


def test_the_highest_score_is_compared_with_an_ordinary_image() -> None:
    assert standing_out(np.linspace(0, 1, 11), ScoreRange(1.0, 2.0)) == pytest.approx(2 / 1.1)


def test_empty_classes_are_named() -> None:
    (warning,) = class_warnings(_predictions(USUAL, 5), _inputs(20), RANGE)
    assert warning.startswith("2 classes have no image (class 3, class 4): ")
    (warning,) = class_warnings(_predictions(USUAL, 4), _inputs(20), RANGE)
    assert warning.startswith("1 class has no image (class 3): ")


def test_a_class_with_regions_alone_is_not_empty() -> None:
    found = _predictions(USUAL, 4)
    found.classes["n_regions"] += 1
    assert class_warnings(found, _inputs(20), RANGE) == []


def test_all_or_no_normal_images_are_said_unless_defects_were_marked() -> None:
    (warning,) = class_warnings(_predictions([0] * 20, 3), _inputs(20), RANGE)
    assert warning.startswith("All 20 images count as normal")
    none = _predictions([1] * 12 + [2] * 8, 3)
    (warning,) = class_warnings(none, _inputs(20), RANGE)
    assert warning.startswith("None of 20 images counts as normal")
    inputs = _inputs(20)
    marked = replace(inputs, masks=Masks(inputs.images, (None,) * 20))
    assert class_warnings(none, marked, None) == []


def test_a_class_that_follows_the_size_is_said_with_numbers() -> None:
    sizes = np.full((20, 2), (40, 60))
    sizes[10:16] = (20, 30)
    inputs = replace(_inputs(20), sizes=sizes)
    (warning,) = class_warnings(_predictions(USUAL, 3), inputs, RANGE)
    assert "'class 1' may follow how the images were made: 6 of its 6 images" in warning
    assert "30 x 20 pixels, as have 6 of all 6 such images" in warning


def test_sizes_that_all_differ_explain_nothing() -> None:
    sizes = np.stack([np.arange(20) + 40, np.arange(20) + 60], axis=1)
    inputs = replace(_inputs(20), sizes=sizes)
    assert class_warnings(_predictions(USUAL, 3), inputs, RANGE) == []


@pytest.mark.parametrize(("grey", "n_said"), [([*range(10)], 1), ([*range(5)], 0), ([16], 0)])
def test_a_class_that_follows_the_colour_is_said(grey: list[int], n_said: int) -> None:
    inputs = replace(_inputs(20), grey=np.isin(np.arange(20), grey))
    warnings = class_warnings(_predictions(USUAL, 3), inputs, RANGE)
    assert ["'normal' may follow" in text for text in warnings] == [True] * n_said
