"""The command line: one thin function a command, each a call of the same library."""

import io
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import (
    complain,
    print_classes,
    print_detection,
    print_frame,
    print_scores,
    say,
)
from anomalyncd.cli.data import data
from anomalyncd.cli.errors import Commands
from anomalyncd.cli.estimate import estimate
from anomalyncd.cli.maps import maps
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
    RunFolder,
    Seed,
    WeightsFile,
    new_estimator,
)
from anomalyncd.cli.runs import (
    cache,
    compare,
    operate,
    report,
)
from anomalyncd.cli.tools import demo, weights
from anomalyncd_bench.cli import bench

# Whatever is slow to import is imported within a command, so that help comes at once.

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Discovers the kinds of defects in photographs of one product, without a label.",
)

app.add_typer(data, name="data")
for command in (estimate, report, operate, compare, cache):
    app.command()(command)


@app.command()
def discover(
    images: ImagesPath,
    classes: Annotated[
        int | None,
        typer.Option(help="Number of classes, the normal one included.  [default: estimated]"),
    ] = None,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    foreground: ForegroundPath = None,
    base: BasePath = None,
    normals: NormalsFolder = None,
    normal_maps: NormalMapsFolder = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.  [default: runs/IMAGES]")] = None,
    method: Method = "anomalyncd",
    preset: Preset = "default",
    detail: Detail = None,
    backbone: Backbone = None,
    weights: WeightsFile = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
) -> None:
    """Discover the kinds of defects among IMAGES; an interrupted run goes on where it stopped."""
    from anomalyncd.report.report import write_report
    from anomalyncd.workflows import discover_run

    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "base": base}
    given |= {"normals": normals, "normal_maps": normal_maps, "foreground": foreground}
    estimator = new_estimator(
        method,
        classes,
        preset=preset,
        detail=detail,
        no_maps_for=maps or masks or boxes,
        backbone=backbone,
        weights=weights,
        seed=seed,
        device=device,
    )
    run = out or Path("runs") / _name(images)
    started = time.perf_counter()
    discover_run(estimator, images, run, overwrite=overwrite, **given)
    try:
        page = write_report(run)
    except KeyboardInterrupt as interrupt:
        complain(f"interrupted; the run is finished, 'anomalyncd report {run}' writes its page")
        raise typer.Exit(130) from interrupt
    if estimator.foreground_summary_:
        say(f"product: {estimator.foreground_summary_}")
    print_classes(estimator.predictions_.classes)
    if estimator.class_number_ is not None:
        say(str(estimator.class_number_))
    say(f"{len(estimator.labels_)} images in {time.perf_counter() - started:.0f} s; see {page}")


@app.command()
def predict(
    run: RunFolder,
    images: ImagesPath,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    foreground: ForegroundPath = None,
    out: Annotated[
        Path | None, typer.Option(help="Results.  [default: RUN/predictions/IMAGES]")
    ] = None,
    weights: WeightsFile = None,
    device: Annotated[str | None, typer.Option(help="As for discover.")] = None,
) -> None:
    """Sort new IMAGES into the classes of a RUN."""
    from anomalyncd.evaluation.operating_point import read_point
    from anomalyncd.workflows import predict_run

    folder = out or run / "predictions" / _name(images)
    point = read_point(run)
    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore}
    predictions = predict_run(
        run,
        images,
        folder,
        threshold=point.threshold if point else None,
        weights=weights,
        device=device,
        foreground=foreground,
        **given,
    )
    print_classes(predictions.classes)
    for state, meaning in (("unseen", "like nothing in the run"), ("unsure", "between classes")):
        if count := int(predictions.images[state].sum()):
            say(f"{count} of the images are {state} ({meaning})")
    if point:
        rejected = int((predictions.images["score"] > point.threshold).sum())
        say(f"{rejected} images are NG (score above {point.threshold:.4f})")
    say(f"{len(predictions.images)} images; see {folder}")


@app.command()
def evaluate(
    run: RunFolder,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="True masks, to score maps and regions: a folder, or a manifest's column.  "
            "[default: ground_truth/ beside test/]"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Score a RUN against labels, or the folders images lie in; "combined" does not count."""
    from anomalyncd.evaluation.evaluate import evaluate_run

    evaluation = evaluate_run(run, masks=masks)
    if as_json:
        import json

        typer.echo(json.dumps(evaluation.to_dict()))
        return
    print_frame(evaluation.confusion.reset_index(), "ImageSet of each true class")
    print_scores({str(run): evaluation})
    print_detection(evaluation.detection)
    for name, count in evaluation.left_out.items():
        say(f"left out: {count} in {name}")


for tool in (maps, bench, weights, demo):
    app.command()(tool)


def _print_version(wanted: bool) -> None:
    if wanted:
        from anomalyncd import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


def _name(images: Path) -> str:
    path = images.expanduser().resolve()
    return (path.stem if path.is_file() else path.name) or "images"


def main() -> None:
    """Runs the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows knows some 250 characters, and names of images may hold any.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What libraries think of a damaged file would stand around the one line that says so.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    typer.main.get_command(app)(prog_name="anomalyncd")
