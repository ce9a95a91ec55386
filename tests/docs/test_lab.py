"""The measurements that pages quote are those of the files in docs/lab/results."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SOURCES = {
    "zero-shot maps": "zero_shot",
    "zero-shot": "zero_shot",
    "maps with normal images": "normals",
    "normal images": "normals",
    "true masks": "masks",
    "masks": "masks",
}
SETS = ("bottle", "pill", "mtd")


def _result(name: str) -> dict[str, Any]:
    return json.loads((DOCS / "lab" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def _rows(page: str, first: str) -> Iterator[list[str]]:
    """The rows of the table whose head begins with these words, the head first."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {first}"))
    for line in [lines[start], *lines[start + 2 :]]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.split("|")[1:-1]]


def _short(*scores: float) -> str:
    return " / ".join(f"{score:.3f}".replace("0.", ".", 1) for score in scores)


@pytest.mark.parametrize("set_name", SETS)
def test_ablations(set_name: str) -> None:
    measured, recalled = set(), set()
    for row in _result(f"ablations_{set_name}")["rows"].values():
        names = ("nmi", "ari", "f1", "normal_recall")
        spreads = [f"{_short(row[n]['mean'])} ± {_short(row[n]['std'])}" for n in names]
        measured.add(" / ".join(spreads[:3]))
        recalled.add(" / ".join(spreads))
    page = (DOCS / "lab/ablations.md").read_text(encoding="utf-8")
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    quoted = []
    for head, _, *lines in tables:
        columns = [cell.strip() for cell in head.split("|")]
        for column in (index for index, one in enumerate(columns) if one.startswith(set_name)):
            quoted += [line.split("|")[column].strip() for line in lines]
    assert len(quoted) > 40
    assert set(quoted) <= measured | recalled | {"not run"}
    assert all(one in page for one in measured)


def test_limits() -> None:
    sets = _result("limits")["sets"]
    _, *rows = _rows("decisions/limits.md", "| default")
    assert len(rows) == 9
    for place, *scores in rows:
        set_name, source = place.split(", ")
        assert scores == [_short(*one) for one in sets[set_name][SOURCES[source]].values()]


def test_class_number() -> None:
    sets = _result("class_number")["sets"]
    head, *rows = _rows("decisions/class-number.md", "images")
    for set_name, true, *estimates in rows:
        if set_name in sets:
            assert int(true) == sets[set_name]["true"]
            for source, estimate in zip(head[2:], estimates, strict=True):
                seeds = sets[set_name][SOURCES[source]]
                texts = [f"{one['estimate']} ({one['low']}-{one['high']})" for one in seeds]
                assert estimate == ", ".join(texts)
    assert {row[0] for row in rows} >= set(SETS)


NAMES = {
    "largest probability": "max p",
    "largest cosine": "max cosine",
    "logsumexp of cosines": "logsumexp",
    "Mahalanobis, shared shrunk covariance": "Mahalanobis",
    "the same, relative to the spread of its class": "nearest, relative to its class",
}


@pytest.mark.parametrize("page", ["lab/unseen.md", "decisions/unseen.md"])
def test_unseen(page: str) -> None:
    head, *rows = _rows(page, "| bottle, masks")
    columns = [(one.split(", ")[0], SOURCES[one.split(", ")[1]]) for one in head[1:]]
    assert len(rows) >= 6
    for name, *values in ([cell.strip("*") for cell in row] for row in rows):
        for (set_name, source), value in zip(columns, values, strict=True):
            scores = _result(f"{set_name}_{source}_unseen")["scores"]
            assert value == _short(scores[NAMES.get(name, name)]["mean"]["auroc"])


def test_image_auroc_in_the_readme() -> None:
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    for set_name in ("mtd", "pill"):
        runs = _result(f"maps_{set_name}")["runs"]["zero_shot"].values()
        aurocs = [run["maps"]["image_auroc"] for run in runs]
        mean = sum(aurocs) / len(aurocs)
        std = (sum((one - mean) ** 2 for one in aurocs) / len(aurocs)) ** 0.5
        assert f"{_short(mean)} ± {_short(std)} on {set_name}" in readme
