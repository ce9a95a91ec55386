"""The commands about finished runs, and about what is cached between runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import print_changes, print_frame, print_scores, say
from anomalyncd.cli.options import MovedImages, RunFolder, TableFolder, WeightsFile, existing
from anomalyncd.errors import InputError

_MEGABYTE = 1e6


def report(run: RunFolder, images: MovedImages = None) -> None:
    """Write report.html of a RUN again, for instance after an operating point was chosen."""
    from anomalyncd.report.report import write_report

    say(f"see {write_report(run, images)}")


def add_normals(
    run: RunFolder,
    normals: Annotated[
        Path,
        typer.Argument(
            metavar="NORMALS",
            help="Folder of further normal images, or a manifest whose rows with the split train "
            "are normal.",
            callback=existing,
        ),
    ],
    weights: WeightsFile = None,
) -> None:
    """Add normal images to the model of a RUN; predict then compares new images with them too.

    The classes and the results of the RUN stay as they are.
    """
    from anomalyncd.revision import add_normals_to_run

    count = add_normals_to_run(run, normals, weights=weights)
    say(f"normal images given: {count}; predict with {run} compares with them from now on")


def operate(
    run: RunFolder,
    escape_cost: Annotated[
        float | None,
        typer.Option(
            help="Cost of one defective image that passes.",
            show_default="that of its class in the label book",
        ),
    ] = None,
    overkill_cost: Annotated[
        float, typer.Option(help="Cost of one good image that is rejected.")
    ] = 1.0,
    defect_share: Annotated[
        float | None,
        typer.Option(help="Share of defective images in production.", show_default="as in RUN"),
    ] = None,
    max_overkill: Annotated[
        float | None,
        typer.Option(help="Largest share of good images to reject, instead of costs."),
    ] = None,
    normal: Annotated[
        str | None,
        typer.Option(help="Label of good images.", show_default="good, normal, ok or mt_free"),
    ] = None,
) -> None:
    """Choose the operating point of a RUN: the score above which an image is NG.

    The commands predict and report use it from then on.
    """
    if escape_cost is not None and max_overkill is not None:
        raise InputError("give either `escape_cost` (with `overkill_cost`) or `max_overkill`")
    from anomalyncd.evaluation.operating_point import curve_of_run
    from anomalyncd.report.report import write_report
    from anomalyncd.results.run_folder import read_run
    from anomalyncd.revision import operate_run

    curve = curve_of_run(read_run(run), normal)
    if max_overkill is not None:
        point = curve.at_overkill(max_overkill)
    else:
        point = curve.cheapest(escape_cost, overkill_cost, defect_share)
    operate_run(run, replace(point, normal=normal))
    say(f"NG above a score of {point.threshold:.4f}: {100 * point.overkill:.1f} % of good images")
    if point.escapes is not None:
        say(f"are rejected, {100 * point.escapes:.1f} % of defective images pass")
    if point.cost is not None:
        say(f"expected cost of 1,000 images: {point.cost:g}")
    say(f"see {write_report(run)}")


def compare(
    first: TableFolder,
    second: TableFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show which images changed their class between two runs, and the scores of both."""
    from anomalyncd.evaluation.comparison import compare_images
    from anomalyncd.results.run_folder import read_table

    comparison = compare_images(read_table(first), read_table(second))
    if as_json:
        typer.echo(json.dumps(comparison.to_dict()))
        return
    print_changes(comparison, str(first), str(second))
    evaluations = dict(zip((str(first), str(second)), comparison.evaluations, strict=True))
    scored = {run: evaluation for run, evaluation in evaluations.items() if evaluation is not None}
    if scored:
        print_scores(scored)


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete the cache; what is needed is made again.")
    ] = False,
) -> None:
    """Show what is cached between runs, and how large it is."""
    import pandas as pd

    from anomalyncd.io.cache import cache_entries, clear_cache

    if clear:
        say(f"{clear_cache() / _MEGABYTE:.0f} MB deleted")
        return
    rows = [
        (entry.what, entry.n_files, f"{entry.n_bytes / _MEGABYTE:.0f}", entry.folder)
        for entry in cache_entries()
    ]
    print_frame(pd.DataFrame(rows, columns=["what", "files", "MB", "folder"]), "Cache")
