"""The commands about data: from a public data set to a manifest, and what is wrong with inputs."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import (
    complain,
    print_facts,
    say,
)

data = typer.Typer(no_args_is_help=True, help="Prepare and check data.")


@data.command()
def prepare(
    name: Annotated[str, typer.Argument(help="aebad, folders, mtd, mvtec, real-iad or visa.")],
    source: Annotated[Path, typer.Argument(help="Folder of the data set, as it was unpacked.")],
    out: Annotated[Path, typer.Option(help="The manifest, a .csv file.")],
    category: Annotated[
        str | None, typer.Option(help="One of the products in the data set.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="mtd: names of the training images, one a line.")
    ] = None,
) -> None:
    """Write the manifest of a data set; no image is copied or moved."""
    from anomalyncd.inputs.layouts.prepare import prepare as prepare_table
    from anomalyncd.inputs.layouts.prepare import write_manifest

    table = prepare_table(name, source, category, split)
    write_manifest(table, out)
    say(f"{len(table)} images of {table['label'].nunique()} classes; see {out}")


@data.command()
def check(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="As for discover.")],
    maps: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    masks: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    boxes: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    ignore: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    foreground: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    base: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    normals: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    normal_maps: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write thumbnails to this picture.")] = None,
) -> None:
    """Say what is understood of IMAGES and all that is wrong; exit code 2 if anything is."""
    from anomalyncd.inputs.check import check_data
    from anomalyncd.report.contact_sheet import check_sheet, write_sheet

    if sheet is not None:
        check_sheet(sheet)
    marks = {
        "maps": maps,
        "masks": masks,
        "boxes": boxes,
        "ignore": ignore,
        "foreground": foreground,
    }
    found = check_data(images, base=base, normals=normals, normal_maps=normal_maps, **marks)
    print_facts(found.facts)
    if sheet is not None and found.images is not None:
        write_sheet(found.images, sheet, found.masks)
        say(f"thumbnails: {sheet}")
    for problem in found.problems:
        complain(f"error: {problem}")
    if found.problems:
        raise typer.Exit(2)
    say("nothing is wrong")
