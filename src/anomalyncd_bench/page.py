"""Builds `bench.html`, the page of a benchmark, and its plots as files of their own."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from anomalyncd import __version__
from anomalyncd.io.files import write_atomically
from anomalyncd.report.dots import dots
from anomalyncd.report.page import write_page
from anomalyncd_bench.bootstrap import SCORES
from anomalyncd_bench.differences import differences
from anomalyncd_bench.published import published_tables
from anomalyncd_bench.table_file import file_name
from anomalyncd_bench.tables import (
    HEADS,
    TEXT_COLUMNS,
    Results,
    Table,
    map_table,
    mean_tables,
    score_tables,
)
from anomalyncd_bench.writing import made_with

PAGE, PLOTS = "bench.html", "plots"


def write_bench_page(results: Results, folder: Path) -> Path:
    """Writes the page, complete in itself, and `plots/SET_SOURCE.svg`.

    Args:
        results: What was measured so far.
        folder: Of the benchmark.

    Returns:
        `folder/bench.html`.
    """
    scores = list(_with_plots(results))
    style = (files("anomalyncd.report") / "style.css").read_text(encoding="utf-8")
    for name, _, plot in scores:
        styled = plot.replace(">", f"><style>{style}</style>", 1)
        with write_atomically(folder / PLOTS / f"{name}.svg") as temporary:
            temporary.write_text(styled, encoding="utf-8", newline="\n")
    path = folder / PAGE
    write_page(
        path,
        package="anomalyncd_bench",
        results=results,
        made_with=made_with(results).replace("`", "").replace("**", ""),
        scores=scores,
        means=list(mean_tables(results)),
        differences=differences(results),
        published=list(published_tables(results)),
        maps=map_table(results),
        text_columns=TEXT_COLUMNS,
        version=__version__,
    )
    return path


def _with_plots(results: Results) -> Iterator[tuple[str, Table, str]]:
    """File name, table and plot of each set and source."""
    for set_name, source, table in score_tables(results):
        rows = []
        for method in table.frame["method"]:
            spreads = [results.spread([set_name], source, method, score) for score in SCORES]
            rows.append((method, [(one.mean, one.std) for one in spreads if one is not None]))
        plot = dots(rows, list(HEADS.values()), f"Scores of the methods: {table.title}")
        yield f"{file_name(set_name)}_{file_name(source)}", table, plot
