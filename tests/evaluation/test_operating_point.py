"""The threshold between OK and NG."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.errors import InputError
from anomalyncd.evaluation.operating_point import curve_of_run, operating_curve
from anomalyncd.results.operating_point import OperatingPoint, read_point, write_point

OK = np.array([0.1, 0.2, 0.3, 0.6])
DEFECTIVE = np.array([0.4, 0.5, 0.9])


def test_costs_decide_the_threshold() -> None:
    curve = operating_curve(OK, DEFECTIVE)
    strict = curve.cheapest(escape_cost=100, overkill_cost=1)
    assert strict.threshold == pytest.approx(0.35)
    assert (strict.overkill, strict.escapes) == (0.25, 0)
    assert strict.cost == pytest.approx(1000 * 4 / 7 * 0.25)
    lenient = curve.cheapest(escape_cost=1, overkill_cost=100)
    assert (lenient.threshold, lenient.overkill) == (pytest.approx(0.75), 0)
    assert lenient.escapes == pytest.approx(2 / 3)


def test_share_of_defects_in_production_counts() -> None:
    curve = operating_curve(OK, DEFECTIVE)
    rare = curve.cheapest(escape_cost=2, overkill_cost=1, defect_share=0.01)
    assert rare.overkill == 0


def test_of_equal_costs_the_point_with_fewest_escapes_is_taken() -> None:
    point = operating_curve(OK, DEFECTIVE).cheapest(escape_cost=0, overkill_cost=1)
    assert (point.overkill, point.escapes) == (0, pytest.approx(2 / 3))


def run_with(labels: list[str], normal_scores: np.ndarray) -> Any:
    names = [f"{index}" for index in range(len(labels))]
    table = pd.DataFrame({"name": names, "label": labels, "score": [0.1, 0.3, 0.6, 0.9]})
    return SimpleNamespace(
        has_labels=False, images=table, normal_scores=normal_scores, folder=Path("run")
    )


def test_curve_of_a_run_is_that_of_its_labelled_images() -> None:
    curve = curve_of_run(run_with(["good", "good", "", "dent"], np.zeros(9)))
    assert curve.thresholds == pytest.approx([0.1, 0.2, 0.6, 0.9], abs=1e-5)
    assert (curve.defect_share, curve.escapes[-2]) == (pytest.approx(1 / 3), 0)
    with_other_name = curve_of_run(run_with(["Fine", "dent", "dent", "dent"], np.zeros(9)), "fine")
    assert with_other_name.defect_share == 0.75


def test_curve_of_a_run_without_such_labels_is_that_of_its_normal_images() -> None:
    curve = curve_of_run(run_with(["a", "b", "c", "d"], np.array([0.2, 0.4])))
    assert curve.thresholds == pytest.approx([0.2, 0.3, 0.4], abs=1e-5)
    assert curve.escapes is None
    with pytest.raises(InputError, match=r"discover with `normals`.*good or normal or ok"):
        curve_of_run(run_with(["a", "b", "c", "d"], np.zeros(0)))


def test_normal_images_alone_give_overkill() -> None:
    curve = operating_curve(OK, np.zeros(0))
    point = curve.at_overkill(0.25)
    assert (point.threshold, point.overkill, point.escapes) == (pytest.approx(0.45), 0.25, None)
    with pytest.raises(InputError, match="give `max_overkill`"):
        curve.cheapest(1, 1)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [((-1, 1, None), "cost"), ((0, 0, None), "above 0"), ((1, 1, 2), "give 0")],
)
def test_impossible_numbers_are_refused(numbers: tuple[float, float, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        operating_curve(OK, DEFECTIVE).cheapest(*numbers)
    with pytest.raises(InputError, match="give a share"):
        operating_curve(OK, DEFECTIVE).at_overkill(1.5)


scores = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20).map(np.array)


@given(scores, scores)
def test_curve_is_what_counting_gives(ok: np.ndarray, defective: np.ndarray) -> None:
    curve = operating_curve(ok, defective)
    assert curve.escapes is not None
    for threshold, overkill, escapes in zip(
        curve.thresholds, curve.overkill, curve.escapes, strict=True
    ):
        assert overkill == pytest.approx((ok > threshold).mean())
        assert escapes == pytest.approx((defective <= threshold).mean())
    assert curve.overkill[0] == 1
    assert curve.escapes[-1] == 1


def test_point_is_saved(tmp_path: Path) -> None:
    assert read_point(tmp_path) is None
    point = OperatingPoint(0.5, 0.01, None, None)
    write_point(point, tmp_path)
    assert read_point(tmp_path) == point
    (tmp_path / "operating.json").write_text('{"threshold": 1, "colour": 2}', encoding="utf-8")
    with pytest.raises(InputError, match="choose the point again"):
        read_point(tmp_path)


def test_one_of_a_hundred_is_one_percent() -> None:
    curve = operating_curve(np.arange(100) / 100, np.zeros(0))
    assert curve.at_overkill(0.01).threshold == pytest.approx(0.985)


def test_escapes_cost_what_their_class_costs() -> None:
    ok, defective = np.array([0.1, 0.3, 0.45]), np.array([0.2, 0.4, 0.9])
    dear_below = operating_curve(ok, defective, np.array([100.0, 1.0, 1.0]))
    dear_above = operating_curve(ok, defective, np.array([1.0, 1.0, 100.0]))
    assert dear_below.cheapest(None, 1.0, 0.5).threshold < 0.2
    point = dear_above.cheapest(None, 10.0, 0.5)
    assert 0.45 < point.threshold < 0.9
    assert point.cost == pytest.approx(1000 * 0.5 * (1 + 1) / 3)
    alike = operating_curve(ok, defective, np.full(3, 7.0))
    assert alike.cheapest(None, 2.0, 0.3) == alike.cheapest(7.0, 2.0, 0.3)
    with pytest.raises(InputError, match="no cost is known"):
        operating_curve(ok, defective).cheapest(None, 1.0)
