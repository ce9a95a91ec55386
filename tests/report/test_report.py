"""The report of a run, on tiny images."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.evaluation.operating_point import OperatingPoint, write_point
from anomalyncd.report.contents import (
    class_cards,
    composite_parts,
    normal_parts,
)
from anomalyncd.report.report import write_report
from anomalyncd.report.trends import (
    own_columns,
    pareto_charts,
    trend_chart,
)
from anomalyncd.results.run_folder import read_run
from anomalyncd.workflows import discover_run
from support.pages import Page, asks_nobody_for_anything, can_be_read_aloud
from support.quick import use_tiny


@pytest.fixture(scope="module")
def run(tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny(monkeypatch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights)
        discover_run(estimator, images_folder, folder / "run", normals=images_folder / "good")
    return folder / "run"


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_page_asks_nobody_for_anything(run: Path) -> None:
    assert asks_nobody_for_anything(write_report(run).read_text(encoding="utf-8"))


def test_page_can_be_read_aloud(run: Path) -> None:
    assert can_be_read_aloud(page_of(run))


def test_page_says_what_was_found(run: Path) -> None:
    words = page_of(run).words
    images = read_run(run).images
    assert f"{len(images)} photographs were sorted into 3 classes" in words
    assert f"{int((~images['normal']).sum())} images show a defect" in words
    assert "compared with photographs of normal images" in words
    assert "NMI" in words
    assert "OK or NG" in words


def test_page_says_how_many_parts_stand_apart(run: Path) -> None:
    images = read_run(run).images
    said = f"{int(images['unseen'].sum())} images are unlike all others (unseen)"
    assert said in page_of(run).words


def test_run_of_a_version_that_did_not_judge_is_shown(run: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(run, old)
    for file in ("images.csv", "regions.csv"):
        table = pd.read_csv(old / file)
        columns = ["confidence", "novelty", "unseen", "unsure"]
        table.drop(columns=columns).to_csv(old / file, index=False)
    assert "unlike all others" not in page_of(old).words


def test_only_mebin_shows_how_its_threshold_is_found(run: Path, tmp_path: Path) -> None:
    assert "Regions at each threshold" in page_of(run).words
    other = tmp_path / "run"
    shutil.copytree(run, other)
    text = (other / "run.json").read_text(encoding="utf-8")
    assert '"binarisation": "mebin"' in text
    changed = text.replace('"binarisation": "mebin"', '"binarisation": "otsu"')
    (other / "run.json").write_text(changed, encoding="utf-8")
    assert "Regions at each threshold" not in page_of(other).words


def test_point_chosen_is_shown(run: Path) -> None:
    write_point(OperatingPoint(0.25, 0.01, None), run)
    words = page_of(run).words
    (run / "operating.json").unlink()
    assert "0.250" in words
    assert "rejects 1.0" in words


def test_lost_photographs_leave_a_report(run: Path) -> None:
    table = pd.read_csv(run / "images.csv")
    regions = pd.read_csv(run / "regions.csv")
    try:
        for file, frame in (("images.csv", table), ("regions.csv", regions)):
            frame.assign(path="gone.png").to_csv(run / file, index=False)
        assert page_of(run).all("img") == []
    finally:
        table.to_csv(run / "images.csv", index=False)
        regions.to_csv(run / "regions.csv", index=False)


def test_cards_hold_each_class_once(run: Path) -> None:
    opened = read_run(run)
    cards = class_cards(opened)
    assert sorted(card.index for card in cards) == [1, 2]
    for card in cards:
        mine = opened.regions.loc[card.typical]
        assert (mine["class"] == card.index).all()
        assert mine["name"].is_unique
        assert set(card.baselines) == set(card.uncertain)
        assert card.positions.max() <= card.n_regions


def test_composite_parts_have_several_kinds(run: Path) -> None:
    opened = read_run(run)
    regions = opened.regions.head(3).assign(
        name="a", found=True, normal=[False, False, True], class_name=["x", "y", "normal"]
    )
    assert composite_parts(replace(opened, regions=regions)) == {"a": ["x", "y"]}
    assert composite_parts(replace(opened, regions=regions.iloc[1:])) == {}
    assert set(normal_parts(opened)) <= set(opened.images["name"])


def columns() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 60
    classes = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "name": [f"{i}" for i in range(n)],
            "class": classes,
            "normal": classes == 0,
            "p_0": 1.0,
            "area_0": 0,
            "label": "x",
            "lot": [f"L{i % 4}" for i in range(n)],
            "serial": [f"{i}" for i in range(n)],
            "time": pd.date_range("2026-01-01", periods=n, freq="D").astype(str),
        }
    )


def test_columns_of_the_parts_make_charts() -> None:
    table = columns()
    assert own_columns(table) == ["lot", "serial", "time"]
    charts = dict(pareto_charts(table))
    assert list(charts) == ["lot"]  # A serial number groups nothing.
    assert all(f"L{i}" in charts["lot"] for i in range(4))
    trend = trend_chart(table, ["normal", "scratch", "dent"])
    assert trend is not None
    assert trend[0] == "time"
    assert "scratch" in trend[1]


def test_dotted_dates_begin_with_the_day() -> None:
    days = [f"{day:02}.04.2026" for day in range(1, 31)] * 2
    trend = trend_chart(columns().assign(time=days), ["normal", "scratch", "dent"])
    assert trend is not None
    assert "04-" in trend[1]
    assert "01-" not in trend[1]


def test_without_times_there_is_no_trend() -> None:
    assert trend_chart(columns().assign(time="yesterday"), ["normal", "a", "b"]) is None


def test_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.json"):
        write_report(tmp_path)
