"""Scores against true labels, and where these come from."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import labels_from_names
from anomalyncd.evaluation.metrics import (
    cluster_scores,
    confusion,
    match_classes,
)

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "metrics_and_merging.json").read_text("utf-8")
)
SCORED = [case for case in GOLDEN if "y_true" in case]
TRUE = ["good"] * 5 + ["scratch"] * 4 + ["dent"] * 2
PREDICTED = [1, 1, 1, 1, 0, 0, 0, 0, 1, 2, 2]


def test_published_values() -> None:
    assert len(SCORED) == 3
    for case in SCORED:
        scores = cluster_scores(case["y_true"], case["y_pred"])
        assert scores.nmi == pytest.approx(case["nmi"], abs=1e-12)
        assert scores.ari == pytest.approx(case["ari"], abs=1e-12)
        assert scores.f1 == pytest.approx(case["f1"], abs=1e-12)


def test_perfect_clustering_under_other_names() -> None:
    predicted = [{"good": 7, "scratch": 3, "dent": 5}[name] for name in TRUE]
    scores = cluster_scores(TRUE, predicted)
    assert (scores.nmi, scores.ari, scores.f1) == pytest.approx((1, 1, 1))


def test_matching_names_predicted_classes() -> None:
    assert match_classes(TRUE, PREDICTED) == {2: "dent", 1: "good", 0: "scratch"}
    assert cluster_scores(TRUE, PREDICTED).f1 == pytest.approx(9 / 11)


def test_matching_is_best_in_all_not_one_by_one() -> None:
    true = ["a"] * 5 + ["b"] * 4
    predicted = [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert match_classes(true, predicted) == {1: "a", 0: "b"}


def test_more_predicted_classes_than_true_ones() -> None:
    true, predicted = ["a", "a", "a", "b"], ["w", "w", "v", "u"]
    assert match_classes(true, predicted) == {"w": "a", "u": "b"}
    assert cluster_scores(true, predicted).f1 == pytest.approx(3 / 4)
    assert list(confusion(true, predicted).columns) == ["w", "u", "v"]


def test_fewer_predicted_classes_than_true_ones() -> None:
    true, predicted = ["a", "a", "b", "c"], [0, 0, 0, 0]
    assert match_classes(true, predicted) == {0: "a"}
    scores = cluster_scores(true, predicted)
    assert (scores.nmi, scores.ari, scores.f1) == pytest.approx((0, 0, 0.5))


def test_classes_without_a_common_sample_are_not_matched() -> None:
    true, predicted = ["a", "a", "a", "a", "b"], [0, 0, 0, 1, 0]
    assert match_classes(true, predicted) == {0: "a"}
    assert list(confusion(true, predicted).columns) == [0, 1]


def test_confusion_shows_the_matching_on_its_diagonal() -> None:
    table = confusion(TRUE, PREDICTED)
    assert list(table.index) == ["dent", "good", "scratch"]
    assert list(table.columns) == [2, 1, 0]
    np.testing.assert_array_equal(table, [[2, 0, 0], [0, 4, 1], [0, 1, 3]])


def test_series_are_paired_by_position() -> None:
    true = pd.Series(TRUE, index=range(len(TRUE))[::-1])
    predicted = pd.Series(PREDICTED)
    assert match_classes(true, predicted) == match_classes(TRUE, PREDICTED)
    assert cluster_scores(true, predicted) == cluster_scores(TRUE, PREDICTED)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30))
def test_f1_is_the_micro_f1_of_the_matched_labels(pairs: list[tuple[int, int]]) -> None:
    true, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    names = match_classes(true, predicted)
    assert len(set(names.values())) == len(names)
    renamed = [names.get(label, -1) for label in predicted]
    micro = f1_score(true, renamed, average="micro")
    assert cluster_scores(true, predicted).f1 == pytest.approx(micro)
    assert confusion(true, predicted).to_numpy().sum() == len(pairs)


@pytest.mark.parametrize(("true", "predicted"), [([], []), (["a"], [0, 1])])
def test_labels_must_come_in_pairs(true: list[str], predicted: list[int]) -> None:
    with pytest.raises(InputError, match=f"{len(true)} true labels for {len(predicted)}"):
        cluster_scores(true, predicted)


def test_class_of_a_part_is_its_first_folder() -> None:
    names = ["broken_large/000", "good/000", "good/monday/001", "gut/ä b.c_crop"]
    assert labels_from_names(names) == ("broken_large", "good", "good", "gut")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no images to score"),
        (["good/000", "001"], "image '001' has no class; expected .* 'CLASS/001'"),
        (["good/000", "good/001"], "all 2 images lie in the folder 'good'"),
    ],
)
def test_names_without_classes(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        labels_from_names(names)
