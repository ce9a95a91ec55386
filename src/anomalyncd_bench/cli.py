"""The command `anomalyncd-bench`, which compares methods on labelled data."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import complain, say
from anomalyncd.cli.errors import Command
from anomalyncd.cli.main import prepare_terminal
from anomalyncd.cli.options import Device, WeightsFile, existing
from anomalyncd.errors import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(cls=Command, no_args_is_help=True)
def bench(
    tables: Annotated[
        list[Path],
        typer.Argument(
            metavar="TABLE",
            help="YAML file of a table: sets, map sources, methods and seeds. With --results-page, "
            "folders of finished benchmarks.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results.", show_default="bench/TABLE")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="ANOMALYNCD_DATA",
            help="Folder where relative paths in the table begin.",
            show_default="the folder of TABLE",
            callback=existing,
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(help="Folder of the built-in anomaly maps.", show_default="OUT/work"),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Write the tables of the results without measuring.")
    ] = False,
    results_page: Annotated[
        Path | None,
        typer.Option(help="Write a Markdown page with the tables of finished benchmarks."),
    ] = None,
    weights: WeightsFile = None,
    device: Device = "auto",
) -> None:
    """Compare methods on labelled data sets; finished results are not measured again."""
    if results_page is not None:
        _write_results_page(results_page, tables)
        return
    if len(tables) > 1:
        raise InputError("several tables are given; give one, or `results_page`")
    table = tables[0]
    from anomalyncd.io.writing import refuse_unwritable
    from anomalyncd_bench.data_sets import Folders
    from anomalyncd_bench.entries import read_table_file
    from anomalyncd_bench.planning import prepare_table
    from anomalyncd_bench.running import run_table

    entry = read_table_file(table)
    folder = out or Path("bench") / table.stem
    refuse_unwritable(folder)
    if not show:
        folders = Folders(data or table.parent, folder, maps or folder / "work")
        ready = prepare_table(entry, folders, weights, device)
        try:
            run_table(ready, folders, say)
        except KeyboardInterrupt as interrupt:
            _write_tables(folder)
            complain("interrupted; run the same command again to go on")
            raise typer.Exit(130) from interrupt
    _write_tables(folder)


def _write_tables(folder: Path) -> None:
    from anomalyncd_bench.report.page import write_bench_page
    from anomalyncd_bench.report.writing import write_tables
    from anomalyncd_bench.results import Results

    results = Results(folder)
    write_tables(results, folder)
    say(f"see {write_bench_page(results, folder)}")


def _write_results_page(path: Path, folders: list[Path]) -> None:
    from anomalyncd.io.writing import write_atomically
    from anomalyncd_bench.report.page import results_page

    page = results_page(folders)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def main() -> None:
    """Runs the command line."""
    prepare_terminal()
    typer.main.get_command(app)(prog_name="anomalyncd-bench")
