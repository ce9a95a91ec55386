"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

PartsFolder: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="PARTS", help="Folder of photographs, an MVTec AD layout, or a manifest."
    ),
]
MapsFolder: TypeAlias = Annotated[
    Path | None, typer.Option(help="Anomaly maps, named like the parts; made where not given.")
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
        help="Where nothing counts: one mask for all parts, a folder of masks, or a table of "
        "boxes; not kept with the run, so predict needs it again."
    ),
]
BasePath: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Labelled defects of other products: MVTec AD layout or manifest."),
]
NormalsFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Photographs of normal parts, or a manifest's rows with split 'train'."),
]
NormalMapsFolder: TypeAlias = Annotated[
    Path | None, typer.Option(help="Anomaly maps of the normal parts, next to --maps.")
]
Backbone: TypeAlias = Annotated[
    str | None, typer.Option(help="timm's name of a vision transformer, DINO or DINOv2.")
]
WeightsFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="The backbone's weights, a safetensors file.")
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Seed of everything random.")]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, gpu, mps, ...")]
RunFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")
]
MadeProduct: TypeAlias = Annotated[Literal["plates", "bolts"], typer.Option(help="What to make.")]
