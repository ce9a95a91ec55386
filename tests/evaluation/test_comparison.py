"""Two runs side by side."""

import pandas as pd
import pytest

from anomalyncd.errors import InputError
from anomalyncd.evaluation.comparison import compare_images


def table(classes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"name": list(classes), "class_name": list(classes.values())})


def test_renamed_classes_are_no_change() -> None:
    first = table({"good/0": "x", "good/1": "x", "b/0": "y", "b/1": "y", "b/2": "y"})
    second = table({"b/2": "one", "b/1": "one", "b/0": "one", "good/1": "two", "good/0": "two"})
    comparison = compare_images(first, second)
    assert comparison.changed.empty
    assert comparison.matched == {"x": "two", "y": "one"}
    assert comparison.agreement.ari == 1
    assert all(e is not None and e.scores.f1 == 1 for e in comparison.evaluations)


def test_what_changed_is_named() -> None:
    first = table({"0": "x", "1": "x", "2": "y", "3": "y", "old": "y"})
    second = table({"0": "x", "1": "x", "2": "y", "3": "z", "new": "y"})
    comparison = compare_images(first, second)
    assert comparison.changed.to_dict("records") == [{"name": "3", "first": "y", "second": "z"}]
    assert (comparison.n_shared, comparison.only_first, comparison.only_second) == (
        4,
        ["old"],
        ["new"],
    )
    assert comparison.to_dict()["scores"] == [None, None]


def test_runs_without_a_common_part_are_refused() -> None:
    with pytest.raises(InputError, match="share no image"):
        compare_images(table({"0": "x"}), table({"1": "x"}))


def test_normal_is_not_renamed() -> None:
    first = table({"0": "normal", "1": "normal", "2": "class 1", "3": "class 1"})
    second = table({"0": "class 1", "1": "class 1", "2": "normal", "3": "normal"})
    assert list(compare_images(first, second).changed["name"]) == ["0", "1", "2", "3"]
    same = compare_images(first, first)
    assert same.changed.empty
    assert same.matched == {"normal": "normal", "class 1": "class 1"}


def test_folders_that_are_no_kinds_are_no_labels() -> None:
    lines = table({"line1/0": "normal", "line2/0": "class 1"})
    assert compare_images(lines, lines).evaluations == (None, None)
