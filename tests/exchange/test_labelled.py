"""Regions as formats hold them: classes, boxes, outlines, codes."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomalyncd.errors import InputError
from anomalyncd.exchange.detections import to_detections
from anomalyncd.exchange.label_studio import brush_code
from anomalyncd.exchange.labelled import Instance, LabelledRegions, label_run
from anomalyncd.exchange.xml_formats import voc_names
from anomalyncd.exchange.yolo import yolo_names
from anomalyncd.inputs.boxes import Shape, Shapes
from anomalyncd.inputs.run_lengths import brush_pixels
from support.labels import DEFECTS, HEIGHT, NAMES, WIDTH

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def instance_of(marks: np.ndarray) -> Instance:
    crop = (3, 2, 3 + marks.shape[1], 2 + marks.shape[0])
    return Instance("1", 1, "dent", 1.0, 1.0, True, crop, marks)


@given(MASKS)
def test_outlines_hold_the_pixels_and_what_they_surround(marks: np.ndarray) -> None:
    instance = instance_of(marks)
    rings = tuple(Shape("polygon", ring, "") for ring in instance.outlines())
    drawn = Shapes(Path(), rings).mask(12, 13)[2 : 2 + marks.shape[0], 3 : 3 + marks.shape[1]]
    assert (drawn | ~marks).all() if marks.any() else drawn.all()
    left, top, right, bottom = instance.box
    assert drawn.sum() <= (right - left) * (bottom - top)


@given(MASKS)
def test_brushes_are_decoded_as_they_were(marks: np.ndarray) -> None:
    np.testing.assert_array_equal(brush_pixels(brush_code(marks), *marks.shape), marks)


def test_long_runs_of_a_brush_are_divided() -> None:
    marks = np.zeros((300, 400), np.bool_)
    marks[200:] = True
    np.testing.assert_array_equal(brush_pixels(brush_code(marks), 300, 400), marks)


def test_a_box_beyond_the_image_has_at_least_a_pixel(labelled: LabelledRegions) -> None:
    sides = {"left": 500, "top": -90, "right": 600, "bottom": -80}
    moved = LabelledRegions(
        labelled.images, labelled.regions.assign(**sides), labelled.classes, labelled.masks
    )
    boxes = [one.box for image in moved.each_image(normal=False) for one in image.instances]
    assert boxes == [(WIDTH - 1, 0, WIDTH, 1)] * len(DEFECTS)


def test_a_missing_column_is_named(labelled: LabelledRegions) -> None:
    with pytest.raises(InputError, match="table of classes lacks the column 'kind'"):
        LabelledRegions(
            labelled.images, labelled.regions, labelled.classes.drop(columns="kind"), labelled.masks
        )


def test_a_run_is_labelled_by_its_own_classes() -> None:
    run: Any = SimpleNamespace(
        images=pd.DataFrame({"name": ["a"], "path": ["a"], "height": [4], "width": [6]}),
        regions=pd.DataFrame(
            {
                **{"name": ["a", "a"], "class": [0, 1], "class_name": ["normal", "class 1"]},
                **{"left": 0.0, "top": 0.0, "right": 4.0, "bottom": 4.0, "score": 0.5},
            }
        ),
        classes=pd.DataFrame(
            {"class": [0, 1], "class_name": ["normal", "class 1"], "normal": [True, False]}
        ),
        mask=lambda name: np.eye(4, 6, dtype=np.bool_),
    )
    labelled = label_run(run)
    (image,) = labelled.each_image(normal=False)
    assert [(one.region, one.class_name, one.confirmed) for one in image.instances] == [
        ("1", "class 1", False)
    ]
    assert image.file_name == "a.png"
    assert labelled.classes["kind"].tolist() == ["not a defect", "defect"]


def test_yolo_names_differ_from_all_others() -> None:
    names = ["images/1", "images_/1", "a/images/b/images/images", "Images__/1", "images"]
    assert yolo_names(names) == dict(
        zip(
            names,
            ["images___/1", "images_/1", "a/images___/b/images___/images", "Images__/1", "images"],
            strict=True,
        )
    )
    assert yolo_names(["images/1"]) == {"images/1": "images_/1"}


def test_names_of_voc_have_no_colon_and_differ() -> None:
    names = ["normal", "pit: deep", "Pit_ deep", "#1", "a#:"]
    written = voc_names(pd.DataFrame({"id": [0, 2, 3, 4, 9], "name": names}))
    assert written == {
        **{0: "normal", 2: "pit_ deep (class 2)", 3: "Pit_ deep"},
        **{4: "_1", 9: "a#_"},
    }


def test_detections_of_one_image(
    labelled: LabelledRegions, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass
    class Detections:
        xyxy: np.ndarray
        mask: np.ndarray
        confidence: np.ndarray
        class_id: np.ndarray
        data: dict[str, np.ndarray]

    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=Detections))
    found = to_detections(labelled, "a/b")
    assert found.xyxy.tolist() == [[6, 6, 40, 40], [66, 50, 76, 60]]
    assert found.mask.shape == (2, HEIGHT, WIDTH)
    assert found.mask.sum(axis=(1, 2)).tolist() == [4 * (9 * 6 - 3 * 2 + 5 + 2), 20]
    assert found.class_id.tolist() == [1, 2]
    assert found.data["class_name"].tolist() == ["Scratch", "scratch"]
    assert found.data["region"].tolist() == ["10", "11"]
    assert to_detections(labelled, NAMES[-1]).xyxy.shape == (0, 4)
    with pytest.raises(InputError, match="no image is called 'z'"):
        to_detections(labelled, "z")
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision"):
        to_detections(labelled, "a/b")
