"""The rows of the ablations can be run, and their page says what the result files say."""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import ModuleType

import pytest

from anomalyncd.io.json_files import write_json

ROOT = Path(__file__).parents[2]
MODULES = ("ablation_rows", "ablation_page")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ablation_page

    yield ablation_page
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def rows(page: ModuleType) -> ModuleType:
    import ablation_rows

    return ablation_rows


def test_rows_differ_in_settings_if_they_differ_in_name(rows: ModuleType) -> None:
    distinct = rows.distinct_rows()
    done = [(row.config, row.base, row.masks, row.backbone) for row in distinct]
    assert len(set(done)) == len(done) == len({row.name for row in distinct})
    for table in rows.TABLES:
        assert len({row.name for row in table.rows}) == len(table.rows)
        assert any(row.name == "default" for row in table.rows)


def test_tokens_are_read_once_and_training_comes_last(rows: ModuleType) -> None:
    distinct = rows.distinct_rows()
    trained = [row.config.training.epochs > 0 for row in distinct]
    assert trained == sorted(trained)
    read = [key for key, _ in groupby(rows.tokens_of(row) for row in distinct)]
    assert len(set(read)) == len(read) < len(distinct)


def test_page_is_written_from_the_results(page: ModuleType) -> None:
    written = (ROOT / page.PAGE).read_text(encoding="utf-8")
    assert written == page.page(ROOT / "benchmarks/results"), "run benchmarks/ablations.py --page"


def test_page_says_what_was_measured_and_what_was_not(page: ModuleType, tmp_path: Path) -> None:
    def measured(nmi: float) -> dict[str, object]:
        same = {"mean": 1.0, "std": 0.0}
        scores = {"nmi": {"mean": nmi, "std": 0.012}, "ari": same, "f1": same}
        return {"config": "", **scores, "normal_recall": {"mean": 0.25, "std": 0.5}}

    header = {"n_seeds": 3, "maps_digest": "abc", "torch": "2", "instructions": "AVX512"}
    header |= {"n_processors": 2, "n_threads": 1}
    found = {"default": measured(0.5), "default, merging.rule=mean": measured(0.4)}
    write_json(tmp_path / "ablations_pill.json", {**header, "set": "pill", "rows": found})
    few = {"default": measured(0.3), "default, training.correction=none": measured(0.2)}
    write_json(tmp_path / "ablations_mtd.json", {**header, "set": "mtd", "rows": few})
    text = page.page(tmp_path)
    assert "| by area (default) | .500 ± .012 / 1.000 ± .000 / 1.000 ± .000 | .300 ± .012" in text
    assert "| mean | .400 ± .012 / 1.000 ± .000 / 1.000 ± .000 | not run |" in text
    assert "| off | not run | .200 ± .012 / 1.000 ± .000 / 1.000 ± .000 / .250 ± .500 |" in text
    assert "by score" not in text.split("## Merging")[1]
    assert "bottle" not in text
    assert "## Guided blocks" not in text


def test_settings_are_chosen_without_the_set_that_is_left_out(
    page: ModuleType, tmp_path: Path
) -> None:
    header = {"n_seeds": 3, "maps_digest": "abc", "torch": "2", "instructions": "AVX512"}
    header |= {"n_processors": 2, "n_threads": 1}
    reached = {"bottle": (0.5, 0.6, 0.1), "pill": (0.4, 0.5, 0.2), "mtd": (0.3, 0.1, 0.9)}
    names = (
        "default, encoder.n_poses=4",
        "default, merging.rule=mean",
        "default, merging.rule=score",
    )
    for name, scores in reached.items():
        found = {
            row: {measure: {"mean": score, "std": 0.0} for measure in ("nmi", "ari", "f1")}
            for row, score in zip((*names, "default, masks=True"), (*scores, 1.0), strict=True)
        }
        for row in found.values():
            row["normal_recall"] = {"mean": 1.0, "std": 0.0}
        write_json(tmp_path / f"ablations_{name}.json", {**header, "set": name, "rows": found})
    lines = page.page(tmp_path).split("## Leave one set out")[1].splitlines()
    told = {
        line.split(" | ")[0].strip("| "): line.split(" | ")[1:3] for line in lines if " | " in line
    }
    assert told["mtd"] == ["merging: mean", ".100 ± .000 / .100 ± .000 / .100 ± .000"]
    assert told["bottle"] == ["merging: by score", ".100 ± .000 / .100 ± .000 / .100 ± .000"]
    assert told["pill"] == ["merging: by score", ".200 ± .000 / .200 ± .000 / .200 ± .000"]
