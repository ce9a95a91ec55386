"""The page of ablations, written from result files."""

from pathlib import Path
from typing import Any

import numpy as np

from ablation_rows import SHIPPED, TABLES, Row, Table, distinct_rows
from anomalyncd.io.json_files import read_json

PAGE = Path("docs/ablations.md")
RESULT = "ablations_{}.json"
SETS = ("bottle", "pill", "mtd")
NOT_RUN = "not run"

_HEAD = """# Ablations

What becomes of the classes when one thing is changed. Each cell is {measures}, mean ± standard
deviation over {n_seeds} seeds, as `evaluate` scores them: the normal class counts, images called
`combined` do not, and the number of classes is the true one. Maps are those of the built-in
zero-shot detector, made once a set unless the row changes the detector. Regions are read in one
pose, a quarter of the default's time; the table of poses tells what four bring. Settings were not
chosen by these tables, which look at the labels; the [default
preset](decisions/default-preset.md) says how they were, and the last table what would have come of
choosing so. Rows that are missing,
and cells that say "{not_run}", were not measured.

The spread is that of the starts alone, on one set of images and maps each. Differences of a few
hundredths say little.

{sets}

This page is written by `benchmarks/ablations.py` from `benchmarks/results/ablations_*.json`. Each
row is a dictionary of [settings](reference/config.md) by dotted name, which
`anomalyncd.config.overrides.with_overrides` puts in place:

```py
from anomalyncd import PRESETS, AnomalyNCD
from anomalyncd.config.overrides import changed

settings = changed(PRESETS["default"], {{"encoder.guidance": "hard", "merging.rule": "mean"}})
model = AnomalyNCD(n_classes=4, preset=settings)
```
"""


def page(results: Path) -> str:
    """The page in Markdown.

    Args:
        results: Folder of result files; sets without one are left out.
    """
    files = {name: results / RESULT.format(name) for name in SETS}
    measured = {name: read_json(path, "result") for name, path in files.items() if path.exists()}
    head = _HEAD.format(
        measures=_measures(False),
        not_run=NOT_RUN,
        n_seeds=" or ".join(sorted({str(one["n_seeds"]) for one in measured.values()})),
        sets="\n".join(_set_line(one) for one in measured.values()),
    )
    rows = {name: one["rows"] for name, one in measured.items()}
    tables = [_table(table, rows) for table in TABLES]
    tables.append(_leave_one_out(rows))
    return "\n".join([head, *(table for table in tables if table)])


def _set_line(result: dict[str, Any]) -> str:
    machine = f"{result['n_processors']} processors, {result['n_threads']} of them used"
    versions = f"torch {result['torch']}, {result['instructions']}"
    return f"- {result['set']}: maps {result['maps_digest']}, {versions}, {machine}"


def _measures(recall: bool) -> str:
    return "NMI / ARI / F1" + (" / recall of the normal class" if recall else "")


def _table(table: Table, results: dict[str, dict[str, Any]]) -> str:
    """A table in Markdown, without the rows that no set has; "" where fewer than two are left."""
    run = [row for row in table.rows if any(row.name in rows for rows in results.values())]
    if len(run) < 2:
        return ""
    head = [f"{name}: {_measures(table.recall)}" for name in results]
    lines = [f"## {table.title}", "", table.note, "", _line(["", *head])]
    lines.append(_line(["---"] * (1 + len(results))))
    for row in run:
        cells = [_cell(row, rows, table.recall) for rows in results.values()]
        lines.append(_line([row.label, *cells]))
    return "\n".join([*lines, ""])


def _leave_one_out(results: dict[str, dict[str, Any]]) -> str:
    """What each set gets by settings that the others chose; "" without three sets."""
    rows = [row for row in distinct_rows() if row.is_candidate]
    rows = [row for row in rows if all(row.name in measured for measured in results.values())]
    if len(results) < 3 or SHIPPED not in rows:
        return ""
    note = (
        f"Of the {len(rows)} rows of the tables above that change settings alone and were measured "
        "on every set, the one with the highest mean NMI over the other sets is taken; the set "
        "that is left out has no say in it. Beside it what the defaults reach there, and what the "
        "set's own best row would: that one was chosen by the very labels that score it."
    )
    lines = ["## Leave one set out", "", note, ""]
    columns = ["left out", "chosen by the others", "it reaches", "the defaults", "its own best row"]
    lines += [_line(columns), _line(["---"] * len(columns))]
    for left_out, measured in results.items():
        others = [scores for name, scores in results.items() if name != left_out]
        chosen, best = _best_row(rows, others), _best_row(rows, [measured])
        told = [_cell(row, measured, recall=False) for row in (chosen, SHIPPED, best)]
        told[-1] += f" ({_label(best)})"
        lines.append(_line([left_out, _label(chosen), *told]))
    return "\n".join([*lines, ""])


def _best_row(rows: list[Row], results: list[dict[str, Any]]) -> Row:
    """The row with the highest mean NMI over sets."""
    means = [np.mean([measured[row.name]["nmi"]["mean"] for measured in results]) for row in rows]
    return rows[int(np.argmax(means))]


def _label(row: Row) -> str:
    """A row and its table, in words."""
    if row.name == "default":
        return "defaults in one pose"
    table = next(one for one in TABLES if row.name in {each.name for each in one.rows})
    label = next(each.label for each in table.rows if each.name == row.name)
    return f"{table.title.lower()}: {label}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(row: Row, results: dict[str, Any], recall: bool) -> str:
    if row.name not in results:
        return NOT_RUN
    names = ("nmi", "ari", "f1", *(("normal_recall",) if recall else ()))
    scores = [results[row.name][name] for name in names]
    return " / ".join(f"{_short(one['mean'])} ± {_short(one['std'])}" for one in scores)


def _short(number: float) -> str:
    """Three digits without the leading zero, as the papers have it."""
    return f"{number:.3f}".replace("0.", ".", 1)
