"""The command that compares methods on labelled data."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import complain, say
from anomalyncd.cli.options import Device, WeightsFile


def bench(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="YAML file: sets, sources, methods, seeds.")
    ],
    out: Annotated[Path | None, typer.Option(help="Results.  [default: bench/TABLE]")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="ANOMALYNCD_DATA",
            help="Where relative folders begin.  [default: the folder of TABLE]",
        ),
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Where built-in maps are kept.  [default: OUT/work]")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Write the tables of what is there; measure nothing.")
    ] = False,
    weights: WeightsFile = None,
    device: Device = "auto",
) -> None:
    """Compare methods on labelled sets; what was measured before is not measured again."""
    from anomalyncd.io.files import refuse_file
    from anomalyncd_bench.page import write_bench_page
    from anomalyncd_bench.planning import prepare_table
    from anomalyncd_bench.running import run_table
    from anomalyncd_bench.table_file import read_table_file
    from anomalyncd_bench.tables import Results
    from anomalyncd_bench.writing import write_tables

    entry = read_table_file(table)
    folder = out or Path("bench") / table.stem
    refuse_file(folder)

    def write() -> None:
        results = Results(folder)
        write_tables(results, folder)
        say(f"see {write_bench_page(results, folder)}")

    if not show:
        work = maps or folder / "work"
        ready = prepare_table(entry, data or table.parent, folder / "work", weights, device)
        try:
            run_table(ready, folder, work, say)
        except KeyboardInterrupt as interrupt:
            write()
            complain("interrupted; run the same command again to go on")
            raise typer.Exit(130) from interrupt
    write()
