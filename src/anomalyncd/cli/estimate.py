"""The command that says how many classes there are."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import print_class_number, say
from anomalyncd.cli.options import (
    Backbone,
    BasePath,
    BoxesFile,
    Detail,
    Device,
    ForegroundPath,
    IgnorePath,
    ImagesPath,
    MapsFolder,
    MasksFolder,
    Method,
    NormalMapsFolder,
    NormalsFolder,
    Preset,
    Seed,
    WeightsFile,
    new_estimator,
)


def estimate(
    images: ImagesPath,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    foreground: ForegroundPath = None,
    base: BasePath = None,
    normals: NormalsFolder = None,
    normal_maps: NormalMapsFolder = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder: keeps what discover goes on from, writes JSON and a plot."),
    ] = None,
    method: Method = "anomalyncd",
    preset: Preset = "default",
    detail: Detail = None,
    backbone: Backbone = None,
    weights: WeightsFile = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Estimate how many classes there are among IMAGES, as discover does without --classes."""
    from anomalyncd.report.class_number_page import write_class_number
    from anomalyncd.workflows import estimate_run

    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "base": base}
    given |= {"normals": normals, "normal_maps": normal_maps, "foreground": foreground}
    estimator = new_estimator(
        method,
        None,
        preset=preset,
        detail=detail,
        no_maps_for=maps or masks or boxes,
        backbone=backbone,
        weights=weights,
        seed=seed,
        device=device,
    )
    if out is None:
        print_class_number(estimator.estimate_n_classes(images, **given))
        return
    counted = estimate_run(estimator, images, out, **given)
    page = write_class_number(counted, out)
    print_class_number(counted)
    say(f"see {page}")
