"""The commands about data: from a public data set to a manifest, and what is wrong with inputs."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.console import complain, print_facts, say

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
    from anomalyncd.data.layouts.prepare import prepare as prepare_table
    from anomalyncd.data.layouts.prepare import write_manifest

    table = prepare_table(name, source, category, split)
    write_manifest(table, out)
    say(f"{len(table)} images of {table['label'].nunique()} classes; see {out}")


@data.command()
def check(
    parts: Annotated[Path, typer.Argument(metavar="PARTS", help="As for discover.")],
    maps: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    masks: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    boxes: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    ignore: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    objects: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    base: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    normals: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    normal_maps: Annotated[Path | None, typer.Option(help="As for discover.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write thumbnails to this picture.")] = None,
) -> None:
    """Say what is understood of PARTS and all that is wrong; exit code 2 if anything is."""
    from anomalyncd.data.check import check_data
    from anomalyncd.data.sheet import check_sheet, write_sheet

    if sheet is not None:
        check_sheet(sheet)
    marks = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "objects": objects}
    found = check_data(parts, base=base, normals=normals, normal_maps=normal_maps, **marks)
    print_facts(found.facts)
    if sheet is not None and found.parts is not None:
        write_sheet(found.parts, sheet, found.masks)
        say(f"thumbnails: {sheet}")
    for problem in found.problems:
        complain(f"error: {problem}")
    if found.problems:
        raise typer.Exit(2)
    say("nothing is wrong")
