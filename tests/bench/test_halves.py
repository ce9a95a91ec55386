"""The script that compares images that a model has seen with images that it has not."""

import importlib.util
import json
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from anomalyncd import AnomalyNCD
from support.quick import UNTRAINED, picture

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "halves.py"
N_OF_A_KIND = 8


@pytest.fixture
def halves(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with the tiny backbone, and a set of three kinds of which one is not scored."""
    spec = importlib.util.spec_from_file_location("halves", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for group, kind in enumerate(("good", "line", "combined")):
        folder = tmp_path / "plates" / "test" / kind
        folder.mkdir(parents=True)
        for index in range(N_OF_A_KIND if kind != "combined" else 2):
            shown = "spot" if kind == "combined" else kind
            pixels = picture(shown, 10 * group + index)
            Image.fromarray(pixels).save(folder / f"exp{index % 2 + 1}_num_{index}.png")
    series = r"{photograph: exp(\d+), order: num_(\d+)}"
    table = tmp_path / "table.yaml"
    table.write_text(
        f"sets:\n  plates: {{folder: plates, series: {series}}}\n  others: plates\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(module, "TABLES", [table])
    quick = partial(AnomalyNCD, backbone="tiny", weights=tiny, preset=UNTRAINED)
    monkeypatch.setattr(module, "AnomalyNCD", quick)
    monkeypatch.setenv("ANOMALYNCD_DATA", str(tmp_path))
    return module


def test_splits_are_measured_once(
    halves: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "halves.json"
    halves.main(["--sets", "plates", "--splits", "1", "--out", str(out)])
    first = json.loads(out.read_text(encoding="utf-8"))
    cell = first["plates"]["0"]
    assert cell["seen"]["n"] + cell["unseen"]["n"] == 2 * N_OF_A_KIND  # without `combined`
    for half in ("seen", "unseen"):
        assert cell[half].keys() == {*halves.SCORES, "n"}
        assert cell[half]["f1_crossed"] <= cell[half]["f1"]
    first["plates"]["0"]["seen"]["nmi"] = -7
    out.write_text(json.dumps(first), encoding="utf-8")
    capsys.readouterr()
    halves.main(["--sets", "plates", "--splits", "2", "--out", str(out)])
    again = json.loads(out.read_text(encoding="utf-8"))
    assert again["plates"]["0"] == first["plates"]["0"]
    assert again["plates"].keys() == {"0", "1"}
    assert "| plates, 2 splits | nmi |" in capsys.readouterr().out


def test_photographs_of_one_part_are_in_one_half(halves: ModuleType) -> None:
    parts = np.repeat([4, 1, 7, 9, 2], [3, 1, 2, 4, 2])
    draws = [halves.drawn_half(parts, seed) for seed in range(20)]
    assert len({draw.tobytes() for draw in draws}) > 5
    for draw in draws:
        for part in np.unique(parts):
            assert len(np.unique(draw[parts == part])) == 1
        assert 6 <= draw.sum() < 6 + 4


def test_half_of_single_images_is_drawn(halves: ModuleType) -> None:
    assert [halves.drawn_half(np.arange(n), 3).sum() for n in (10, 11)] == [5, 6]


def test_images_that_are_not_scored_are_parts_of_their_own(halves: ModuleType) -> None:
    entries = {one.name: one for one in halves.read_table_file(halves.TABLES[0]).sets}
    images = halves._opened(entries["plates"])
    parts = halves._parts(images)
    photographs = np.bincount(parts[images.scored], minlength=parts.max() + 1)
    assert set(photographs[photographs > 0]) == {2}
    others = parts[~images.scored]
    assert len(set(others)) == len(others) == 2
    assert not set(others) & set(parts[images.scored])
    assert len(set(halves._parts(halves._opened(entries["others"])))) == 2 * N_OF_A_KIND + 2


def test_interval_by_hand(halves: ModuleType) -> None:
    values = np.array([0.1, 0.2, 0.3])
    mean, low, high = halves.interval(values)
    assert mean == pytest.approx(0.2)
    assert high - mean == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)  # t of two degrees
    assert mean - low == pytest.approx(high - mean)
    assert np.isnan(halves.interval(np.array([0.4]))[1])


def test_table_subtracts_the_seen_half(halves: ModuleType) -> None:
    seen = dict.fromkeys(halves.SCORES, 0.5)
    cells = [{"seen": seen, "unseen": dict.fromkeys(halves.SCORES, 0.4 + d)} for d in (0, 0.1)]
    lines = halves.table({"pill": cells}).splitlines()
    assert lines[2] == "| pill, 2 splits | nmi | 0.500 | 0.450 | -0.050 | -0.685 to +0.585 |"
    assert len(lines) == 2 + len(halves.SCORES)
    alone = halves.table({"pill": cells[:1]}).splitlines()
    assert alone[2] == "| pill, 1 split | nmi | 0.500 | 0.400 | -0.100 | - |"


def test_matching_of_the_other_half_by_hand(halves: ModuleType) -> None:
    labels = [np.array(["a", "a", "b", "b"]), np.array(["a", "b", "b", "b"])]
    classes = [np.array([0, 0, 1, 2]), np.array([1, 0, 0, 0])]
    scores = halves.scored(labels, classes)
    assert (scores["seen"]["f1"], scores["unseen"]["f1"]) == (0.75, 1)
    assert scores["seen"]["f1_crossed"] == 0  # class 0 is b there
    assert scores["unseen"]["f1_crossed"] == 0
    scores = halves.scored(labels, [classes[0], np.array([0, 1, 1, 0])])
    assert scores["unseen"]["f1_crossed"] == 0.75
    assert scores["seen"]["f1_crossed"] == 0.75
