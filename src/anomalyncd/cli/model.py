"""The commands about a model: what it is, whether it is intact, and how it moves elsewhere."""

import json
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from anomalyncd.cli.console import print_frame, say
from anomalyncd.cli.options import WeightsFile, existing
from anomalyncd.errors import InputError

model = typer.Typer(no_args_is_help=True, help="Look at, check and pack the model of a run.")
ModelFolder: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Folder of a model, or of a finished run.", callback=existing
    ),
]
_MEGABYTE = 1e6


@model.command("show")
def show_model(
    folder: ModelFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show the classes, backbone, detector, operating point and size of a MODEL."""
    import pandas as pd

    from anomalyncd.results.model_folder import locate_model
    from anomalyncd.results.model_summary import summarise_model

    summary = summarise_model(locate_model(folder))
    if as_json:
        typer.echo(json.dumps(summary.to_dict()))
        return
    blank = {"": "-", None: "-"}
    rows = [[blank.get(cell, cell) for cell in one.values()] for one in summary.classes]
    columns = ["id", "class", "kind", "severity", "escape cost"]
    print_frame(pd.DataFrame(rows, columns=columns, dtype=object), "Classes")
    point = summary.operating_point
    say(f"made by: {summary.estimator}, anomalyncd {summary.version}")
    say(f"backbone: {summary.backbone}, precision {summary.precision}")
    say(f"weights of the backbone: {summary.weights}")
    say(f"detector: {summary.detector}")
    say(f"rotations of a region: {summary.rotations}")
    say(
        "operating point: none; choose one with anomalyncd operate"
        if point is None
        else f"operating point: NG above a score of {point.threshold:.4f}"
    )
    for needed in summary.needs:
        say(f"new images need: {needed}")
    for name, size in summary.sizes.items():
        say(f"{name}: {size / _MEGABYTE:.1f} MB")


@model.command("verify")
def verify_model(folder: ModelFolder, weights: WeightsFile = None) -> None:
    """Check that a MODEL is complete, undamaged, and goes with the backbone of this machine."""
    from anomalyncd.estimator import AnomalyNCD
    from anomalyncd.results.model_folder import locate_model

    located = locate_model(folder)
    loaded = AnomalyNCD.load(located, weights=weights)
    say(f"{located} is intact: {loaded.n_classes_} classes, backbone {loaded.backbone}")


@model.command("pack")
def pack(
    folder: ModelFolder,
    out: Annotated[
        Path | None,
        typer.Option(help="The .zip file to write.", show_default="MODEL.zip beside MODEL"),
    ] = None,
    with_weights: Annotated[
        bool,
        typer.Option(
            "--with-weights",
            help="Pack the weights of the backbone too, for a machine without a network.",
        ),
    ] = False,
    weights: WeightsFile = None,
) -> None:
    """Pack a MODEL into one .zip file; unpacked elsewhere it is a model folder."""
    from anomalyncd.backbone.weights import locate_weights
    from anomalyncd.results.model_file import read_model
    from anomalyncd.results.model_folder import locate_model
    from anomalyncd.results.model_pack import pack_model

    located = locate_model(folder)
    target = (out or Path(f"{located.resolve()}.zip")).expanduser()
    if target.suffix.lower() != ".zip":
        raise InputError(f"'{target}', given as `out`, is no .zip file; name one that ends in .zip")
    source = None
    if with_weights:
        stored = read_model(located).parameters
        named = weights or stored["weights"]
        source = locate_weights(stored["backbone"], Path(named) if named else None)
    pack_model(located, target, source)
    say(f"{target}: {target.stat().st_size / _MEGABYTE:.1f} MB; unpack it and give the folder")
