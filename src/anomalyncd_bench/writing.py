"""Tables as Markdown, LaTeX and CSV."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from anomalyncd.io.files import write_atomically
from anomalyncd_bench.bootstrap import SCORES
from anomalyncd_bench.differences import differences
from anomalyncd_bench.published import published_tables
from anomalyncd_bench.tables import (
    TEXT_COLUMNS,
    Results,
    Table,
    map_table,
    mean_tables,
    score_tables,
)

MARKDOWN, LATEX, CSV = "tables.md", "tables.tex", "cells.csv"
COSTS_NOTE = (
    "Mean ± standard deviation over seeds. Seconds and MB are those of the method itself, median "
    "over seeds; maps and tokens are shared by all and not counted, tokens that are read for the "
    "first time excepted."
)


def all_tables(results: Results) -> list[Table]:
    """Every table of a benchmark, in the order in which they are read."""
    apart = differences(results)
    maps = map_table(results)
    return [
        *(table for _, _, table in score_tables(results)),
        *mean_tables(results),
        *([apart] if apart else []),
        *published_tables(results),
        *([maps] if maps else []),
    ]


def write_tables(results: Results, folder: Path) -> None:
    """Writes `tables.md`, `tables.tex` and `cells.csv`.

    Args:
        results: What was measured.
        folder: Where to.
    """
    tables = all_tables(results)
    _write(folder / MARKDOWN, f"# {results.plan.name}\n\n{markdown(results, tables)}")
    _write(folder / LATEX, "\n".join(latex(table) for table in tables))
    columns = ["set", "source", "method", "seed", *SCORES, "n_classes_found"]
    columns += ["seconds", "seconds_reading", "peak_memory_mb", "date", "digest"]
    frame = pd.DataFrame([{name: cell[name] for name in columns} for cell in results.cells])
    _write(folder / CSV, frame.to_csv(index=False, lineterminator="\n"))


def markdown(results: Results, tables: Iterable[Table], level: int = 2) -> str:
    """All tables below headings, after a paragraph on how they were made."""
    heads = "#" * level
    blocks = [made_with(results)]
    for table in tables:
        blocks += [f"{heads} {table.title}", _markdown_table(table)]
        blocks += [table.note] if table.note else []
    return "\n\n".join(blocks) + "\n"


def made_with(results: Results) -> str:
    """How the figures came about, in a few sentences."""
    plan = results.plan
    seeds = f"{len(plan.seeds)} seed{'' if len(plan.seeds) == 1 else 's'}"
    said = [f"Backbone `{plan.backbone}`, true number of classes, {seeds}. {COSTS_NOTE}"]
    if results.cells:
        dates = sorted({cell["date"] for cell in results.cells})
        spans = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        machines = _different(
            f"{m['n_threads']} of {m['n_processors']} processors ({m['system']}, "
            f"{m['instructions']})"
            for m in (cell["machine"] for cell in results.cells)
        )
        versions = _different(
            ", ".join(f"{name} {number}" for name, number in cell["versions"].items())
            for cell in results.cells
        )
        said.append(f"Measured {spans} on {machines} with {versions}.")
    if any(one["combined"] == "unscored" for one in plan.sets):
        said.append("Images of the class `combined` take part, but do not count.")
    if results.n_missing:
        total = results.n_missing + len(results.cells)
        said.append(f"**{results.n_missing} of {total} results are not measured yet.**")
    return " ".join(said)


def _different(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _markdown_table(table: Table) -> str:
    columns = [str(name) for name in table.frame.columns]
    rule = ["---" if name in TEXT_COLUMNS else "---:" for name in columns]
    rows = [
        [
            f"**{cell}**" if (index, name) in table.best else str(cell)
            for name, cell in zip(columns, row, strict=True)
        ]
        for index, row in enumerate(table.frame.itertuples(index=False))
    ]
    return "\n".join(map(_markdown_row, [columns, rule, *rows]))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def latex(table: Table) -> str:
    """A table with the rules of the package booktabs, within `table`."""
    style = (
        table.frame.style.hide(axis="index")
        .format(escape="latex")
        .format_index(escape="latex", axis=1)
    )
    style = style.apply(_bold_in_latex, best=table.best)
    columns = "".join("l" if one in TEXT_COLUMNS else "r" for one in table.frame.columns)
    return str(
        style.to_latex(hrules=True, column_format=columns, caption=_escaped(table), position="t")
    ).replace("±", r"$\pm$")


def _bold_in_latex(column: pd.Series, best: frozenset[tuple[int, str]]) -> list[str]:
    bold = "textbf:--rwrap;"
    return [bold if (row, column.name) in best else "" for row in column.index]


def _escaped(table: Table) -> str:
    text = f"{table.title}. {table.note}".strip()
    for sign in "&%$#_{}":
        text = text.replace(sign, chr(92) + sign)
    return text


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def results_page(folders: Iterable[Path]) -> str:
    """The page `docs/results.md`, from the folders of finished benchmarks."""
    blocks = [
        "# Results",
        "This page is made by `make results` from the files in `benchmarks/results/bench`; "
        "do not change it by hand. [The benchmark](guide/bench.md) says how to run one.",
    ]
    for folder in folders:
        results = Results(folder)
        blocks.append(f"## {results.plan.name}\n\n{markdown(results, all_tables(results), 3)}")
    return "\n\n".join(block.rstrip() for block in blocks) + "\n"
