"""The command line: one thin function a command, each a call of the same library."""

import io
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli_bench import bench
from anomalyncd.cli_data import data
from anomalyncd.cli_errors import Commands
from anomalyncd.cli_estimate import estimate
from anomalyncd.cli_maps import maps
from anomalyncd.cli_options import (
    Backbone,
    BasePath,
    BoxesFile,
    Detail,
    Device,
    IgnorePath,
    MapsFolder,
    MasksFolder,
    Method,
    NormalMapsFolder,
    NormalsFolder,
    ObjectsPath,
    PartsFolder,
    Preset,
    RunFolder,
    Seed,
    WeightsFile,
    new_estimator,
)
from anomalyncd.cli_runs import cache, compare, operate, report
from anomalyncd.cli_tools import demo, weights
from anomalyncd.console import (
    complain,
    print_classes,
    print_detection,
    print_frame,
    print_scores,
    say,
)

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
    parts: PartsFolder,
    classes: Annotated[
        int | None,
        typer.Option(help="Number of classes, the normal one included.  [default: estimated]"),
    ] = None,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    objects: ObjectsPath = None,
    base: BasePath = None,
    normals: NormalsFolder = None,
    normal_maps: NormalMapsFolder = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.  [default: runs/PARTS]")] = None,
    method: Method = "anomalyncd",
    preset: Preset = "default",
    detail: Detail = None,
    backbone: Backbone = None,
    weights: WeightsFile = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
) -> None:
    """Discover the kinds of defects among PARTS; an interrupted run goes on where it stopped."""
    from anomalyncd.report.report import write_report
    from anomalyncd.runs import discover_run

    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "base": base}
    given |= {"normals": normals, "normal_maps": normal_maps, "objects": objects}
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
    run = out or Path("runs") / _name(parts)
    started = time.perf_counter()
    discover_run(estimator, parts, run, overwrite=overwrite, **given)
    try:
        page = write_report(run)
    except KeyboardInterrupt as interrupt:
        complain(f"interrupted; the run is finished, 'anomalyncd report {run}' writes its page")
        raise typer.Exit(130) from interrupt
    if estimator.objects_:
        say(f"product: {estimator.objects_}")
    print_classes(estimator.verdicts_.classes)
    if estimator.class_number_ is not None:
        say(str(estimator.class_number_))
    say(f"{len(estimator.labels_)} parts in {time.perf_counter() - started:.0f} s; see {page}")


@app.command()
def predict(
    run: RunFolder,
    parts: PartsFolder,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    objects: ObjectsPath = None,
    out: Annotated[
        Path | None, typer.Option(help="Results.  [default: RUN/predictions/PARTS]")
    ] = None,
    weights: WeightsFile = None,
    device: Annotated[str | None, typer.Option(help="As for discover.")] = None,
) -> None:
    """Sort new PARTS into the classes of a RUN."""
    from anomalyncd.discovery import AnomalyNCD
    from anomalyncd.evaluation.operating import read_point
    from anomalyncd.runs import prepare_prediction, write_prediction

    folder = out or run / "predictions" / _name(parts)
    prepare_prediction(folder, parts)
    point = read_point(run)
    estimator = AnomalyNCD.load(run / "model", weights=weights, device=device)
    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "objects": objects}
    verdicts = estimator.inspect(parts, folder=folder, **given)
    write_prediction(verdicts, folder, point.threshold if point else None)
    print_classes(verdicts.classes)
    for state, meaning in (("unseen", "like nothing in the run"), ("unsure", "between classes")):
        if count := int(verdicts.images[state].sum()):
            say(f"{count} of the parts are {state} ({meaning})")
    if point:
        rejected = int((verdicts.images["score"] > point.threshold).sum())
        say(f"{rejected} parts are NG (score above {point.threshold:.4f})")
    say(f"{len(verdicts.images)} parts; see {folder}")


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
    """Score a RUN against labels, or the folders parts lie in; "combined" does not count."""
    from anomalyncd.evaluation.evaluate import evaluate_run

    evaluation = evaluate_run(run, masks=masks)
    if as_json:
        import json

        typer.echo(json.dumps(evaluation.to_dict()))
        return
    print_frame(evaluation.confusion.reset_index(), "Parts of each true class")
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


def _name(parts: Path) -> str:
    path = parts.expanduser().resolve()
    return (path.stem if path.is_file() else path.name) or "parts"


def main() -> None:
    """Runs the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows knows some 250 characters, and names of parts may hold any.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What libraries think of a damaged file would stand around the one line that says so.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    typer.main.get_command(app)(prog_name="anomalyncd")
