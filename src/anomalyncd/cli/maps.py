"""The command that makes anomaly maps, or shows whether maps suit a discovery."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyncd.cli.console import print_inspection, say, warn
from anomalyncd.cli.errors import name_options
from anomalyncd.cli.options import READING, EstimatorOptions, Only, with_groups
from anomalyncd.errors import InputError
from anomalyncd.inputs.sources import InputSources
from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    from anomalyncd.config import Config
    from anomalyncd.inputs.inputs import Inputs


@with_groups
def maps(
    context: typer.Context,
    sources: Annotated[
        InputSources, Only("images", "maps", "normals", "normal_maps", "ignore", *READING)
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the maps, NAME.npy, and for inspect.html.")],
    inspect: Annotated[
        bool,
        typer.Option("--inspect", help="Show the regions that discover would find in the maps."),
    ] = False,
    full_size: Annotated[
        bool,
        typer.Option(
            "--full-size",
            help="Make maps as large as the images; discover needs those of about 256 x 256 "
            "pixels, the default.",
        ),
    ] = False,
    options: Annotated[
        EstimatorOptions, Only("preset", "detail", "backbone", "weights", "seed", "device")
    ],
) -> None:
    """Write anomaly maps of IMAGES, scored against each other or against normal images.

    With --inspect, show whether these maps, or --maps of another detector, suit a discovery.
    """
    if not inspect and (sources.maps or sources.normal_maps or sources.ignore):
        raise InputError("`maps`, `normal_maps` and `ignore` are for `inspect`; give it as well")
    if inspect and full_size:
        raise InputError("`inspect` needs the small maps of discover; leave `full_size` out")
    from anomalyncd.inputs.inputs import check_inputs
    from anomalyncd.regions.inspection import inspect_maps
    from anomalyncd.regions.map_warnings import refuse_constant_maps
    from anomalyncd.report.inspection_page import write_inspection

    _check_folder(out, makes_maps=sources.maps is None)
    config = _checked_config(options, sources, full_size)
    inputs = check_inputs(sources.images, **sources.further())
    if not inspect:  # An inspection repeats them.
        for warning in inputs.warnings:
            warn(name_options(warning, context))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        if inputs.maps is None or not inspect:
            inputs = _make(inputs, config, out, options, Path(scratch) if inspect else None)
            say(f"{counted(len(inputs.images), 'map')}; see {out}")
        if inspect:
            inspection = inspect_maps(inputs, config)
            if sources.maps is not None:
                refuse_constant_maps(inspection)
            print_inspection(inspection, lambda text: name_options(text, context))
            say(f"see {write_inspection(inspection, inputs.images, out)}")


def _checked_config(options: EstimatorOptions, sources: InputSources, full_size: bool) -> "Config":
    """The config, after all options have been checked, since reading images may take long."""
    from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE, check_backbone
    from anomalyncd.config import PRESETS, resolve_config
    from anomalyncd.runtime.device import resolve_device

    config = resolve_config(options.config(sources.maps), PRESETS)
    check_backbone(options.backbone or DEFAULT_BACKBONE, options.weights)
    resolve_device(options.device)
    return (
        replace(config, detector=replace(config.detector, map_size=None)) if full_size else config
    )


def _check_folder(out: Path, makes_maps: bool) -> None:
    from anomalyncd.io.key import refuse_foreign_files
    from anomalyncd.io.writing import refuse_unwritable

    refuse_unwritable(out.expanduser())
    if makes_maps:
        refuse_foreign_files(out.expanduser(), frozenset({".npy"}), "map")


def _make(
    inputs: "Inputs", config: "Config", out: Path, options: EstimatorOptions, normals: Path | None
) -> "Inputs":
    from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE
    from anomalyncd.workflows import make_maps

    return make_maps(
        inputs,
        config,
        out,
        backbone=options.backbone or DEFAULT_BACKBONE,
        weights=options.weights,
        seed=options.seed,
        device=options.device,
        normals_folder=normals,
    )
