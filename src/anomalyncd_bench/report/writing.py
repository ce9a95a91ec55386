"""Tables as Markdown, LaTeX and CSV."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from anomalyncd.io.writing import write_atomically
from anomalyncd_bench.report.bootstrap import SCORES
from anomalyncd_bench.report.comparisons import differences, published_tables
from anomalyncd_bench.report.tables import (
    TEXT_COLUMNS,
    Table,
    map_table,
    mean_tables,
    measure_tables,
    score_tables,
)
from anomalyncd_bench.results import Results

MARKDOWN, LATEX, CSV = "tables.md", "tables.tex", "results.csv"
_COLUMNS = ["set", "source", "method", "seed", *SCORES, "n_classes_found", "seconds"]
_COLUMNS += ["seconds_reading", "peak_memory_mb", "date", "digest"]
COSTS_NOTE = (
    "Mean ± standard deviation over seeds. Seconds and MB are those of the method itself, median "
    "over seeds; maps and tokens are shared by all and not counted, except tokens that are read "
    "for the first time."
)


def all_tables(results: Results) -> list[Table]:
    """Every table of a benchmark, in the order of reading."""
    single = (differences(results), map_table(results))
    tables = [table for _, _, table in score_tables(results)]
    tables += [*mean_tables(results), *measure_tables(results)]
    tables += [single[0]] if single[0] else []
    return [*tables, *published_tables(results), *([single[1]] if single[1] else [])]


def write_tables(results: Results, folder: Path) -> None:
    """Writes `tables.md`, `tables.tex` and `results.csv`.

    Args:
        results: The results that have been measured.
        folder: Folder of the three files.
    """
    tables = all_tables(results)
    _write(folder / MARKDOWN, f"# {results.plan.name}\n\n{markdown(results)}")
    _write(folder / LATEX, "\n".join(latex(table) for table in tables))
    frame = pd.DataFrame(results.measured, columns=_COLUMNS)
    _write(folder / CSV, frame.to_csv(index=False, lineterminator="\n"))


def markdown(results: Results, level: int = 2) -> str:
    """All tables below headings, after a paragraph on how they were made."""
    heads = "#" * level
    blocks = [made_with(results)]
    for table in all_tables(results):
        blocks += [f"{heads} {table.title}", _markdown_table(table)]
        blocks += [table.note] if table.note else []
    return "\n\n".join(blocks) + "\n"


def made_with(results: Results) -> str:
    """How the figures were measured, in a few sentences."""
    plan = results.plan
    seeds = f"{len(plan.seeds)} seed{'' if len(plan.seeds) == 1 else 's'}"
    sentences = [f"Backbone `{plan.backbone}`, true number of classes, {seeds}. {COSTS_NOTE}"]
    if results.measured:
        dates = sorted({result["date"] for result in results.measured})
        span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        machines = _different(
            f"{m['n_threads']} of {m['n_processors']} processors ({m['system']}, "
            f"{m['instructions']})"
            for m in (result["machine"] for result in results.measured)
        )
        versions = _different(
            ", ".join(f"{name} {number}" for name, number in result["versions"].items())
            for result in results.measured
        )
        sentences.append(f"Measured {span} on {machines} with {versions}.")
    if any(one["combined"] == "unscored" for one in plan.sets):
        sentences.append("Images of the class `combined` take part, but do not count.")
    if results.n_missing:
        total = results.n_missing + len(results.measured)
        sentences.append(f"**{results.n_missing} of {total} results are not measured yet.**")
    return " ".join(sentences)


def _different(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _markdown_table(table: Table) -> str:
    columns = [str(name) for name in table.frame.columns]
    rule = ["---" if name in TEXT_COLUMNS else "---:" for name in columns]
    rows = [
        [
            f"**{value}**" if (index, name) in table.best else str(value)
            for name, value in zip(columns, row, strict=True)
        ]
        for index, row in enumerate(table.frame.itertuples(index=False))
    ]
    return "\n".join(map(_markdown_row, [columns, rule, *rows]))


def _markdown_row(values: Sequence[str]) -> str:
    return f"| {' | '.join(value.replace('|', chr(92) + '|') for value in values)} |"


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
