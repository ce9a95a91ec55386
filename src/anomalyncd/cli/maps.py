"""The command over anomaly maps alone."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import print_inspection, say
from anomalyncd.cli.options import (
    Backbone,
    Detail,
    Device,
    IgnorePath,
    ImagesPath,
    MapsFolder,
    NormalMapsFolder,
    NormalsFolder,
    Seed,
    WeightsFile,
    with_detail,
)
from anomalyncd.errors import InputError


def maps(
    images: ImagesPath,
    out: Annotated[Path, typer.Option(help="Folder for the maps, NAME.npy, and inspect.html.")],
    inspect: Annotated[
        bool, typer.Option("--inspect", help="Show what regions discover would find in the maps.")
    ] = False,
    maps: MapsFolder = None,
    normals: NormalsFolder = None,
    normal_maps: NormalMapsFolder = None,
    ignore: IgnorePath = None,
    backbone: Backbone = None,
    weights: WeightsFile = None,
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    detail: Detail = None,
    full_size: Annotated[
        bool,
        typer.Option(
            "--full-size",
            help="Maps as large as the photographs; discover takes those of about 256 x 256 px, "
            "since regions are found by rules in pixels of the map.",
        ),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Write anomaly maps of IMAGES, which score each other or are scored against normal ones.

    With --inspect, see whether these maps, or --maps of another detector, will do for discover.
    """
    from anomalyncd.backbone.weights import (
        DEFAULT_BACKBONE,
        check_backbone,
    )
    from anomalyncd.config import PRESETS, resolve_config
    from anomalyncd.inputs.inputs import check_inputs
    from anomalyncd.io.files import refuse_file
    from anomalyncd.regions.inspection import inspect_maps
    from anomalyncd.report.inspection_page import write_inspection
    from anomalyncd.runtime.device import check_seed, resolve_device
    from anomalyncd.workflows import make_maps

    if not inspect and (maps or normal_maps or ignore):
        raise InputError("--maps, --normal-maps and --ignore are for --inspect; give it as well")
    if inspect and full_size:
        raise InputError("--inspect shows what discover finds in small maps; leave --full-size out")
    config = resolve_config(with_detail(preset, detail, PRESETS, maps), PRESETS)
    if full_size:
        config = replace(config, detector=replace(config.detector, map_size=None))
    check_seed(seed)
    check_backbone(backbone or DEFAULT_BACKBONE, weights)
    resolve_device(device)
    refuse_file(out)
    inputs = check_inputs(images, maps, normals=normals, normal_maps=normal_maps, ignore=ignore)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        if inputs.maps is None or not inspect:
            inputs = make_maps(
                inputs,
                config,
                out,
                backbone=backbone or DEFAULT_BACKBONE,
                weights=weights,
                seed=seed,
                device=device,
                normals_folder=Path(scratch) if inspect else None,
            )
            say(f"{len(inputs.images)} maps; see {out}")
        if inspect:
            inspection = inspect_maps(inputs, config)
            print_inspection(inspection)
            say(f"see {write_inspection(inspection, inputs.images, out)}")
