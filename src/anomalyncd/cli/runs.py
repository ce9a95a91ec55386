"""Commands over finished runs and over what is kept between them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import (
    print_changes,
    print_frame,
    print_scores,
    say,
)
from anomalyncd.cli.options import RunFolder

_MEGABYTE = 1e6


def report(run: RunFolder) -> None:
    """Write report.html for a RUN again, for instance after an operating point was chosen."""
    from anomalyncd.report.report import write_report

    say(f"see {write_report(run)}")


def operate(
    run: RunFolder,
    escape_cost: Annotated[
        float | None, typer.Option(help="What one defective image costs that passes.")
    ] = None,
    overkill_cost: Annotated[
        float, typer.Option(help="What one good image costs that is rejected.")
    ] = 1.0,
    defect_share: Annotated[
        float | None,
        typer.Option(help="Share of defective images in production.  [default: as in RUN]"),
    ] = None,
    max_overkill: Annotated[
        float | None,
        typer.Option(help="Largest share of good images to reject, in place of costs."),
    ] = None,
    normal: Annotated[
        str | None,
        typer.Option(help="What the labels call a good image.  [default: good, ok, ...]"),
    ] = None,
) -> None:
    """Choose where OK ends and NG begins; `predict` and the report use it from then on."""
    from anomalyncd.errors import InputError
    from anomalyncd.evaluation.operating_point import curve_of_run, write_point
    from anomalyncd.report.report import write_report
    from anomalyncd.results.run_folder import read_run

    if (escape_cost is None) == (max_overkill is None):
        raise InputError("give either --escape-cost (and --overkill-cost) or --max-overkill")
    curve = curve_of_run(read_run(run), normal)
    if max_overkill is not None:
        point = curve.at_overkill(max_overkill)
    else:
        assert escape_cost is not None
        point = curve.cheapest(escape_cost, overkill_cost, defect_share)
    write_point(replace(point, normal=normal), run)
    say(f"NG above a score of {point.threshold:.4f}: {100 * point.overkill:.1f} % of good images")
    if point.escapes is not None:
        say(f"are rejected, {100 * point.escapes:.1f} % of defective images pass")
    if point.cost is not None:
        say(f"expected cost of 1,000 images: {point.cost:g}")
    say(f"see {write_report(run)}")


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Another over the same images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show which parts changed their class from one RUN to another, and the scores of both."""
    from anomalyncd.evaluation.comparison import compare_images
    from anomalyncd.results.run_folder import read_table

    comparison = compare_images(read_table(first), read_table(second))
    if as_json:
        import json

        typer.echo(json.dumps(comparison.to_dict()))
        return
    print_changes(comparison, str(first), str(second))
    scored = zip((first, second), comparison.evaluations, strict=True)
    known = {str(run): one for run, one in scored if one is not None}
    if known:
        print_scores(known)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete it; it is made again.")] = False,
) -> None:
    """Say what is kept between runs, and how large it is."""
    import pandas as pd

    from anomalyncd.io.cache import cache_entries, clear_cache

    if clear:
        say(f"{clear_cache() / _MEGABYTE:.0f} MB deleted")
        return
    entries = cache_entries()
    rows = [(e.what, e.n_files, f"{e.n_bytes / _MEGABYTE:.0f}", e.folder) for e in entries]
    print_frame(pd.DataFrame(rows, columns=["what", "files", "MB", "folder"]), "Cache")
