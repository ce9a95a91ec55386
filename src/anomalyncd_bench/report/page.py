"""The page of a benchmark, its plots as files of their own, and the page of all results."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from anomalyncd import __version__
from anomalyncd.io.writing import write_atomically
from anomalyncd.report.page import style_sheet, write_page
from anomalyncd.report.plots import dots
from anomalyncd_bench.entries import file_name
from anomalyncd_bench.report.bootstrap import SCORES
from anomalyncd_bench.report.comparisons import differences, published_tables
from anomalyncd_bench.report.tables import (
    HEADS,
    TEXT_COLUMNS,
    Table,
    map_table,
    mean_tables,
    measure_tables,
    score_tables,
)
from anomalyncd_bench.report.writing import made_with, markdown
from anomalyncd_bench.results import Results

PAGE, PLOTS = "bench.html", "plots"


def write_bench_page(results: Results, folder: Path) -> Path:
    """Writes the page, complete in itself, and `plots/SET_SOURCE.svg`.

    Args:
        results: The results that have been measured.
        folder: Of the benchmark.

    Returns:
        `folder/bench.html`.
    """
    scores = list(_with_plots(results))
    for name, _, plot in scores:
        styled = plot.replace(">", f"><style>{style_sheet()}</style>", 1)
        with write_atomically(folder / PLOTS / f"{name}.svg") as temporary:
            temporary.write_text(styled, encoding="utf-8", newline="\n")
    path = folder / PAGE
    write_page(
        path,
        package="anomalyncd_bench.report",
        results=results,
        made_with=made_with(results).replace("`", "").replace("**", ""),
        scores=scores,
        means=[*mean_tables(results), *measure_tables(results)],
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


def results_page(folders: Iterable[Path]) -> str:
    """The page `docs/results.md`, from the folders of finished benchmarks."""
    blocks = [
        "# Results",
        "This page is made by `make results` from the files in `benchmarks/results/bench`; "
        "do not change it by hand. [Compare methods](guide/bench.md) explains how to run a "
        "benchmark.",
        "Methods that train were measured before they had the published augmentation of views. All "
        "methods but `anomalyncd`, `proto`, `kmeans` and `gcd` were measured before a change in "
        "the rounding of bfloat16. All maps are older than today's search for "
        "[nearest patches](decisions/nearest-patches.md), which moves the image AUROC of zero-shot "
        "maps by up to .004.",
    ]
    for folder in folders:
        results = Results(folder)
        blocks.append(f"## {results.plan.name}\n\n{markdown(results, level=3)}")
    return "\n\n".join(block.rstrip() for block in blocks) + "\n"
