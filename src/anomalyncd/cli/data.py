"""The commands about data: from a public data set to a manifest, and what is wrong with inputs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyncd.cli.console import complain, print_facts, say, warn
from anomalyncd.cli.errors import name_options
from anomalyncd.cli.options import existing, with_groups
from anomalyncd.inputs.sources import InputSources
from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    from anomalyncd.images.findings import Findings
    from anomalyncd.inputs.inputs import Inputs

data = typer.Typer(no_args_is_help=True, help="Prepare and check data.")


@data.command()
def prepare(
    name: Annotated[
        str, typer.Argument(help="Layout: aebad, folders, mtd, mvtec, real-iad or visa.")
    ],
    source: Annotated[
        Path, typer.Argument(help="Folder of the data set as it was unpacked.", callback=existing)
    ],
    out: Annotated[Path, typer.Option(help="File of the manifest, with the suffix .csv.")],
    category: Annotated[
        str | None, typer.Option(help="One of the products, if the data set has several.")
    ] = None,
    split_list: Annotated[
        Path | None,
        typer.Option(
            "--split",
            help="For mtd: file with the names of the training images, one on each line.",
            callback=existing,
        ),
    ] = None,
) -> None:
    """Write the manifest of a public data set; no image is copied or moved."""
    from anomalyncd.inputs import layouts

    layouts.check_manifest(out)
    table = layouts.prepare(name, source, category, split_list)
    layouts.write_manifest(table, out)
    say(
        f"{counted(len(table), 'image')} of {counted(table['label'].nunique(), 'class')}; see {out}"
    )


@data.command()
@with_groups
def check(
    context: typer.Context,
    sources: InputSources,
    *,
    sheet: Annotated[
        Path | None, typer.Option(help="File for a picture of thumbnails, .jpg or .png.")
    ] = None,
) -> None:
    """Show what is understood of the inputs and everything that is wrong with them.

    The exit code is 2 if anything is wrong.
    """
    from anomalyncd.inputs.inputs import check_data
    from anomalyncd.report.contact_sheet import check_sheet, write_sheet

    if sheet is not None:
        check_sheet(sheet)
    inputs, findings = check_data(sources)
    if inputs is not None and inputs.maps is not None and not findings.problems:
        findings.attempt(lambda: _inspect(inputs, findings))
    print_facts(findings.facts)
    if sheet is not None and inputs is not None:
        write_sheet(inputs.images, sheet, inputs.masks)
        say(f"thumbnails: {sheet}")
    for warning in findings.warnings:
        warn(name_options(warning, context))
    for problem in findings.problems:
        complain(f"error: {name_options(problem, context)}")
    if findings.problems:
        raise typer.Exit(2)
    say("usable, with warnings" if findings.warnings else "nothing is wrong")


def _inspect(inputs: "Inputs", findings: "Findings") -> None:
    """Adds warnings about the regions that a discovery would find in given maps."""
    from anomalyncd.config import PRESETS
    from anomalyncd.regions.inspection import inspect_maps
    from anomalyncd.regions.map_warnings import map_warnings, refuse_constant_maps

    inspection = inspect_maps(replace(inputs, warnings=()), PRESETS["default"])
    refuse_constant_maps(inspection)
    for warning in map_warnings(inspection):
        findings.warn(warning)
