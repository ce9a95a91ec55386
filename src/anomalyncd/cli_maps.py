"""The command over anomaly maps alone."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli_options import (
    Backbone,
    Device,
    NormalsFolder,
    PartsFolder,
    Seed,
    WeightsFile,
)
from anomalyncd.console import say


def maps(
    parts: PartsFolder,
    out: Annotated[Path, typer.Option(help="Folder for the maps, NAME.npy.")],
    normals: NormalsFolder = None,
    backbone: Backbone = None,
    weights: WeightsFile = None,
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Write anomaly maps of PARTS, which score each other or are scored against normal ones."""
    from anomalyncd.data.files import refuse_file
    from anomalyncd.data.inputs import check_inputs
    from anomalyncd.detect.anomaly_maps import write_anomaly_maps
    from anomalyncd.detect.fitting import fit_detector
    from anomalyncd.model.weights import DEFAULT_BACKBONE, check_backbone, load_backbone
    from anomalyncd.runtime import PRECISIONS, check_seed, resolve_device
    from anomalyncd.settings import resolve_settings

    settings = resolve_settings(preset).detector
    check_seed(seed)
    check_backbone(backbone or DEFAULT_BACKBONE, weights)
    chosen = resolve_device(device)
    refuse_file(out)
    inputs = check_inputs(parts, normals=normals)
    vit = load_backbone(backbone or DEFAULT_BACKBONE, weights).to(chosen, PRECISIONS["bf16"])
    detector = fit_detector(vit, inputs.parts, inputs.normals, settings, seed)
    written = write_anomaly_maps(vit, inputs.parts, detector, settings, out)
    say(f"{len(written)} maps; see {out}")
