"""Arguments and options that several commands share."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from anomalyncd.config import Config, resolve_config
from anomalyncd.errors import InputError

if TYPE_CHECKING:
    from anomalyncd.estimator import AnomalyNCD

ImagesPath: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="IMAGES", help="Folder of photographs, an MVTec AD layout, or a manifest."
    ),
]
MapsFolder: TypeAlias = Annotated[
    Path | None, typer.Option(help="Anomaly maps, named like the images; made where not given.")
]
MasksFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Marked defects in place of maps: NAME.png or NAME_mask.png, or a manifest's column."
    ),
]
BoxesFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Marked defects as a table: name or image, left, top, right, bottom."),
]
IgnorePath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Where nothing counts: one mask for all images, a folder of masks, or a table of "
        "boxes; not kept with the run, so predict needs it again."
    ),
]
ForegroundPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Where the product is: one mask for all images, a folder of masks, or a table of boxes."
    ),
]
BasePath: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Labelled defects of other products: MVTec AD layout or manifest."),
]
NormalsFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Photographs of normal images, or a manifest's rows with split 'train'."),
]
NormalMapsFolder: TypeAlias = Annotated[
    Path | None, typer.Option(help="Anomaly maps of the normal images, next to --maps.")
]
Backbone: TypeAlias = Annotated[
    str | None, typer.Option(help="timm's name of a vision transformer, DINO or DINOv2.")
]
WeightsFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="The backbone's weights, a safetensors file.")
]
Detail: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Side in px at which parts are looked at for maps: 448, 672, ... show small defects; "
        "time grows with its square, or faster.  [default: 336 to 672, by their size]"
    ),
]
Method: TypeAlias = Annotated[Literal["anomalyncd", "proto"], typer.Option(help="The estimator.")]
Preset: TypeAlias = Annotated[str, typer.Option(help="default or paper.")]
Seed: TypeAlias = Annotated[int, typer.Option(help="Seed of everything random.")]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, gpu, mps, ...")]
RunFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")
]
SyntheticProduct: TypeAlias = Annotated[
    Literal["plates", "bolts"], typer.Option(help="What to make.")
]


def with_detail(
    preset: str, detail: int | None, presets: dict[str, Config], given: Path | None = None
) -> str | Config:
    """The preset, with the resolution of the built-in detector that the user asks for.

    Args:
        preset: Its name; returned as it is where no detail is asked for.
        detail: See `DetectorConfig.resolution`.
        presets: What the names of presets stand for.
        given: What stands in place of the built-in maps, so that there is nothing to look at.

    Raises:
        InputError: The preset or the detail cannot be used, or would change nothing.
    """
    if detail is None:
        return preset
    if given is not None:
        raise InputError(f"--detail is for maps that are made here; leave it out, or '{given}'")
    config = resolve_config(preset, presets)
    return replace(config, detector=replace(config.detector, resolution=detail))


def new_estimator(
    method: str,
    classes: int | None,
    *,
    preset: str,
    detail: int | None,
    no_maps_for: Path | None,
    backbone: str | None,
    weights: Path | None,
    seed: int,
    device: str,
) -> "AnomalyNCD":
    """The estimator that the options of a command ask for.

    Args:
        method: Its name, see `ESTIMATORS`.
        classes: Number of classes; None estimates it.
        preset: Name of its settings.
        detail: See `with_detail`.
        no_maps_for: What stands in place of the built-in maps, see `with_detail`.
        backbone: timm's name; None takes the default.
        weights: File of its weights.
        seed: Of everything random.
        device: Where to.

    Raises:
        InputError: An option cannot be used.
    """
    from anomalyncd.estimator import ESTIMATORS

    config = with_detail(preset, detail, ESTIMATORS[method].presets, no_maps_for)
    return ESTIMATORS[method](
        "auto" if classes is None else classes,
        weights=weights,
        preset=config,
        random_state=seed,
        device=device,
        **({"backbone": backbone} if backbone else {}),
    )
