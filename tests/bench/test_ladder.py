"""The script that measures which step of a discovery costs how much, on a few made images."""

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import PRESETS
from support.quick import UNTRAINED

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ladder.py"
FEW = {"n_per_kind": 2, "n_normal": 4, "n_combined": 1, "n_train": 3, "size": (96, 96)}


@pytest.fixture
def ladder(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with the tiny backbone, which trains nothing, and thirteen images of fabric."""
    spec = importlib.util.spec_from_file_location("ladder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ladder", module)  # Its dataclass looks there for its types.
    spec.loader.exec_module(module)
    monkeypatch.setitem(PRESETS, "default", UNTRAINED)
    monkeypatch.setitem(module.MADE, "fabric", FEW)
    monkeypatch.setattr(module, "load_backbone", partial(load_backbone, "tiny", tiny))
    monkeypatch.delenv("ANOMALYNCD_DATA", raising=False)
    return module


def cells(printed: str) -> list[dict[str, str]]:
    """The rows of the table, by the heads of the columns."""
    lines = [line[2:-2].split(" | ") for line in printed.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_a_set_is_measured_once(
    ladder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--only", "fabric", "--out", str(tmp_path / "out"), "--seeds", "2"]
    ladder.main(command)
    first = capsys.readouterr().out
    rows = cells(first)
    assert [(row["set"], row["maps"]) for row in rows] == [
        ("fabric", "zero_shot"),
        ("fabric", "normals"),
    ]
    assert (tmp_path / "out" / "ladder.md").read_text(encoding="utf-8") == first.split("\n\n", 1)[1]
    for row in rows:
        assert row["images"] == "12"  # without `combined`
        assert all(row[rung].count("±") == 3 for rung in ladder.RUNGS)
    assert rows[0]["true masks"] == rows[1]["true masks"]
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/results").rglob("*.json")}
    assert len(results) == 3
    ladder.main(command)
    again = capsys.readouterr().out
    assert again.count("measured before") == 3
    assert cells(again) == rows
    assert {path: path.stat().st_mtime_ns for path in results} == results


def test_what_the_truth_tells_is_used(ladder: ModuleType, tmp_path: Path) -> None:
    ladder.main(["--only", "fabric", "--out", str(tmp_path), "--seeds", "1", "--draws", "2"])
    for source in ("zero_shot", "normals"):
        result = ladder.Ladder(tmp_path, 1, 2).result("fabric", source)
        runs = {(run["draw"], run["rung"]): run for run in result["runs"]}
        assert set(runs) == {(draw, rung) for draw in (0, 1) for rung in ladder.RUNGS[:-1]}
        for draw in (0, 1):
            assert runs[draw, "split told"]["split"] == 1
            assert runs[draw, "both told"]["nmi"] >= runs[draw, "default"]["nmi"]
    masks = ladder.Ladder(tmp_path, 1, 2).result("fabric", "masks")
    assert [run["rung"] for run in masks["runs"]] == ["true masks"]
    assert masks["found"][0]["defective_without_region"] == 0
    assert masks["found"][0]["normal_with_region"] == 0


def test_real_sets_that_are_not_here_are_skipped(
    ladder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder.main(["--only", "mtd", "--out", str(tmp_path)])
    assert "mtd: skipped, ANOMALYNCD_DATA names no folder with mtd\n" in capsys.readouterr().out


def test_best_split_by_hand(ladder: ModuleType) -> None:
    truth = np.array([False, False, False, True, True])
    assert ladder.best_split(np.array([0.1, 0.2, 0.6, 0.5, 0.9]), truth) == pytest.approx(5 / 6)
    assert ladder.best_split(np.array([0.9, 0.9, 0.9, 0.1, 0.1]), truth) == 0.5
    assert ladder.best_split(np.array([0.1, 0.2, 0.3, 1.0, 1.0]), truth) == 1


def test_spread_over_seeds(ladder: ModuleType) -> None:
    found = dict.fromkeys(ladder.FOUND.values(), 1) | {"draw": 0, "image_auroc": None}
    run = {"draw": 0, "rung": "default", "nmi": 0.2, "ari": 0.0, "f1": 0.5, "split": 0.75}
    other = run | {"nmi": 0.4}
    result = {"set": "pill", "source": "normals", "found": [found], "runs": [run, other]}
    row = cells(ladder.table([result], 2, 1))[0]
    assert row["default"] == ".300 ± .100 / .000 ± .000 / .500 ± .000"
    assert row["split by default"] == ".750 ± .000"
    assert (row["image AUROC"], row["true masks"]) == ("-", "-")
    assert (row["regions"], row["normal with region"]) == ("1", "1.000")
