"""A watched folder whose images differ from those of the fit says so once, also after a restart."""

import csv
from pathlib import Path

import pytest

from anomalyncd.line.drift_log import OVER
from anomalyncd.line.watch import Summary, Watch, WatchSettings
from anomalyncd.results.fit_counts import FitCounts
from support.line import FakePredictor, picture

FIT = FitCounts(1000, 1, 0, (1,), (1000,), ("scratch",), (0.5,), (500, 500))
OTHER = FitCounts(1000, 900, 0, (1,), (1000,), ("scratch",), (), (1000,))


def once(folder: Path, out: Path, fit: FitCounts | None) -> Summary:
    predictor = FakePredictor()
    predictor.fit_counts = fit
    settings = WatchSettings(steady=0.0, poll=True, every=0.05)
    return Watch(folder, out, predictor, settings).run(once=True)


def put(folder: Path, numbers: range, level: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number}.png").write_bytes(picture(level))


def said(out: Path) -> list[dict[str, str]]:
    with (out / "drift.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def test_drift_is_said_once_and_counts_survive_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder, range(30), 150)
    first = once(folder, out, FIT)
    assert first.drift is not None
    assert str(first.drift) in str(first)
    assert str(first.drift) in caplog.text
    assert [row["subject"] for row in said(out)] == ["unseen"]
    assert said(out)[0]["share"] == "1.0000"
    caplog.clear()
    put(folder, range(30, 60), 50)
    again = once(folder, out, FIT)
    assert again.drift is not None
    # Of all 60 images, unless the hour has just changed.
    assert again.drift.share in (0.5, 1.0) or again.drift.subject != "unseen"
    assert str(again.drift) not in caplog.text
    assert len(said(out)) == 1


@pytest.mark.parametrize("table", [b"found,\xff\n1,2\n", b'found,subject\n"' + b"x" * 200_000])
def test_a_damaged_table_does_not_stop_the_watch(tmp_path: Path, table: bytes) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder, range(3), 50)
    out.mkdir()
    (out / "drift.csv").write_bytes(table)
    assert once(folder, out, FIT).n_ok == 3


def test_another_model_begins_anew(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder, range(30), 150)
    assert once(folder, out, FIT).drift is not None
    put(folder, range(30, 35), 150)
    assert once(folder, out, OTHER).drift is None
    assert [row["sentence"] for row in said(out)][1:] == [OVER]


def test_model_without_counts_says_nothing(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder, range(30), 150)
    assert once(folder, out, None).drift is None
    assert not (out / "drift.csv").exists()
