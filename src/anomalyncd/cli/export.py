"""The command that exports a model to graphs that run without PyTorch."""

from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import say
from anomalyncd.cli.options import WeightsFile, existing


def export(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Folder of a finished run, or of its model.", callback=existing
        ),
    ],
    to: Annotated[str, typer.Option(help="Format of the graphs: onnx or openvino.")] = "onnx",
    out: Annotated[Path, typer.Option(help="Folder for the exported model.")] = Path("exported"),
    weights: WeightsFile = None,
) -> None:
    """Export a MODEL to graphs that serve and watch run without PyTorch.

    Beside a line, anomalyncd-runtime takes the place of anomalyncd and is several hundred megabytes
    smaller.
    """
    from anomalyncd.export.writing import export_model

    export_model(model, to, out, weights)
    size = sum(path.stat().st_size for path in out.iterdir())
    say(f"{out}: {size / 1e6:.1f} MB; give it to anomalyncd serve or watch")
