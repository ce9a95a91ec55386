"""The label book in the report."""

import re
from pathlib import Path

import pytest

from anomalyncd import AnomalyNCD
from anomalyncd.report.report import write_report
from anomalyncd.results.run_folder import read_run
from anomalyncd.revision import correct_run
from anomalyncd.workflows import discover_run


@pytest.fixture
def run(tiny: Path, images_folder: Path, tmp_path: Path) -> Path:
    discover_run(AnomalyNCD(3, backbone="tiny", weights=tiny), images_folder, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_that_nobody_reviewed_has_no_label_book(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    assert "Label book" not in page
    assert not read_run(run).has_labels
    assert read_run(run).labels.history
    assert "Label book" not in write_report(run).read_text(encoding="utf-8")


def test_names_costs_and_history_are_shown_and_hostile_names_do_nothing(run: Path) -> None:
    book = read_run(run).labels
    book.edit(1, name="<script>alert(1)</script>", severity="major", escape_cost=20.0)
    book.edit(2, description="thin & long", colour="#123456")
    book.move(book.ids[[0]], 2)
    page = write_report(run).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "3 actions came after the classes were last refitted" in page
    assert re.search(r"<td>major</td><td>20</td><td>0</td>", page)
    assert "thin &amp; long" in page
    assert "--k2: #123456;" in page
    correct_run(run)
    page = write_report(run).read_text(encoding="utf-8")
    assert "came after" not in page
    assert "with the help of a person, who confirmed 1 region" in page
