"""Labels of images, and what they leave unknown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import evaluate_classes, evaluate_if_labelled
from anomalyncd.evaluation.ground_truth import (
    Truth,
    labels_from_names,
    labels_from_table,
    states_from_labels,
    with_labels_of,
)
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.masks import Masks


def test_class_of_an_image_is_its_first_folder() -> None:
    names = ["broken_large/000", "good/000", "good/monday/001", "gut/ä b.c_crop"]
    assert labels_from_names(names) == ("broken_large", "good", "good", "gut")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no images to score"),
        (["good/000", "001"], "image '001' has no class; expected .* 'CLASS/001'"),
        (["good/000", "good/001"], "all 2 images are in the folder 'good'"),
    ],
)
def test_names_without_classes(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        labels_from_names(names)


def labelled(*labels: str) -> pd.DataFrame:
    names = [f"{index}" for index in range(len(labels))]
    return pd.DataFrame({"name": names, "label": labels, "class_name": labels})


def test_labels_of_a_column_go_before_folders() -> None:
    table = labelled(" good", "dent ", "")
    assert labels_from_table(table.assign(name=["x/0", "y/1", "z/2"])) == ("good", "dent", "")


def test_annotations_name_the_labels_of_images_without_any(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    box = "<box label='dent' xtl='1' ytl='1' xbr='3' ybr='4'/>"
    path.write_text(
        f"<annotations><image name='1.png'>{box}</image></annotations>", encoding="utf-8"
    )
    images = pd.DataFrame({"name": ["0", "1"], "path": ["0.png", "1.png"]})
    assert labels_from_table(with_labels_of(path, images)) == ("good", "dent")
    given = images.assign(label=["x", "y"])
    assert labels_from_table(with_labels_of(path, given)) == ("x", "y")


def test_states_need_a_label_of_the_normal_class() -> None:
    states = states_from_labels(labelled("Good", "dent", "", "MT_Free"))
    assert states is not None
    assert states.tolist() == [0, 1, -1, 0]
    assert states_from_labels(labelled("fine", "dent")) is None
    named = states_from_labels(labelled("fine", "dent"), normal=("fine",))
    assert named is not None
    assert named.tolist() == [0, 1]
    assert states_from_labels(pd.DataFrame({"name": ["0", "1"]})) is None


def truth(*boxes: int) -> Truth:
    """Images of 10 x 10 pixels: good, dent, dent, without a label; some with a box as mask."""
    images = ImageSet.from_list([np.zeros((10, 10, 3), np.uint8)] * 4)
    box = np.array([[0.0, 0, 2, 2]])
    masks = Masks(images, tuple(box if index in boxes else None for index in range(4)))
    return Truth(np.full((4, 2), 10), np.array([0, 1, 1, -1]), masks)


def test_an_empty_mask_means_no_defect_only_on_a_normal_image() -> None:
    masks = [truth(1).mask(index) for index in range(4)]
    assert [None if mask is None else int(mask.sum()) for mask in masks] == [0, 4, None, None]
    without_labels = Truth(np.full((4, 2), 10), None, truth(1).masks)
    assert all(without_labels.mask(index) is not None for index in range(4))


def test_a_marked_image_is_defective_whatever_its_label() -> None:
    marked = np.array([False, True, False, True])
    defective, known = truth().defective(marked)
    assert defective.tolist() == [False, True, True, True]
    assert known.all()
    assert truth().defective(~marked)[1].tolist() == [True, True, True, False]


def test_left_out_classes_are_counted() -> None:
    labels = ["good", "dent", "combined", "", "dent"]
    evaluation = evaluate_classes(labels, ["a", "b", "a", "b", "b"])
    assert evaluation.left_out == {"combined": 1, "no label": 1}
    assert (evaluation.n_images, evaluation.scores.f1) == (3, 1)
    assert evaluate_classes(labels, ["a"] * 5, ignore=()).n_images == 4
    with pytest.raises(InputError, match="without no label, combined, dent"):
        evaluate_classes(labels, ["a"] * 5, ignore=("combined", "dent"))


def test_folders_are_labels_only_beside_a_normal_folder() -> None:
    names = ["line1/0", "line2/0"]
    table = pd.DataFrame({"name": names, "class_name": ["normal", "class 1"]})
    assert evaluate_if_labelled(table) is None
    good = evaluate_if_labelled(table.assign(name=["good/0", "dent/0"]))
    assert good is not None
    assert good.scores.f1 == 1
    assert evaluate_if_labelled(table.assign(label=["a", "b"])) is not None
