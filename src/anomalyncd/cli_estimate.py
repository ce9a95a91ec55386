"""The command that says how many classes there are."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli_options import (
    Backbone,
    BasePath,
    BoxesFile,
    Device,
    IgnorePath,
    MapsFolder,
    MasksFolder,
    NormalMapsFolder,
    NormalsFolder,
    PartsFolder,
    Seed,
    WeightsFile,
)
from anomalyncd.console import print_class_number, say


def estimate(
    parts: PartsFolder,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    base: BasePath = None,
    normals: NormalsFolder = None,
    normal_maps: NormalMapsFolder = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder: keeps what discover goes on from, writes JSON and a plot."),
    ] = None,
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    backbone: Backbone = None,
    weights: WeightsFile = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Estimate how many classes there are among PARTS, as discover does without --classes."""
    from anomalyncd.discovery import AnomalyNCD
    from anomalyncd.report.class_number_page import write_class_number
    from anomalyncd.runs import estimate_run

    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "base": base}
    given |= {"normals": normals, "normal_maps": normal_maps}
    options = {"backbone": backbone} if backbone else {}
    estimator = AnomalyNCD(
        "auto", weights=weights, preset=preset, random_state=seed, device=device, **options
    )
    if out is None:
        print_class_number(estimator.estimate_n_classes(parts, **given))
        return
    counted = estimate_run(estimator, parts, out, **given)
    page = write_class_number(counted, out)
    print_class_number(counted)
    say(f"see {page}")
