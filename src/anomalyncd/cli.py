"""The command line: one thin function a command, each a call of the same library."""

import errno
import io
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from anomalyncd.cli_data import data
from anomalyncd.cli_options import (
    Backbone,
    BoxesFile,
    Device,
    IgnorePath,
    MadeProduct,
    MapsFolder,
    MasksFolder,
    NormalsFolder,
    PartsFolder,
    RunFolder,
    Seed,
    WeightsFile,
)
from anomalyncd.cli_runs import cache, compare, operate, report
from anomalyncd.console import (
    complain,
    print_classes,
    print_detection,
    print_frame,
    print_scores,
    say,
)
from anomalyncd.errors import InputError

# Whatever is slow to import is imported within a command, so that help comes at once.


# Of click, or of the copy of it that typer brings along.
_UsageError: Any = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Turns the ways in which a command ends early into one line each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        _refuse(str(error), error)
    except _UsageError as error:
        said = error.format_message()
        if "\n" in said:  # the help of a command that was given nothing
            raise
        command = error.ctx.command_path if error.ctx else "anomalyncd"
        _refuse(f"{said.rstrip('.')}; see '{command} --help'", error)
    except OSError as error:
        if error.errno == errno.EPIPE or error.filename is None:
            raise
        _refuse(
            f"'{error.filename}' cannot be read or written ({error.strerror}); check the path, "
            "its permissions and the space on the disk",
            error,
        )
    except KeyboardInterrupt as interrupt:
        complain("interrupted; run the same command again to go on")
        raise typer.Exit(130) from interrupt


def _refuse(said: str, error: Exception) -> NoReturn:
    complain(f"error: {said}")
    raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Discovers the kinds of defects in photographs of one product, without a label.",
)

app.add_typer(data, name="data")
for command in (report, operate, compare, cache):
    app.command()(command)


@app.command()
def discover(
    parts: PartsFolder,
    classes: Annotated[
        int | None, typer.Option(help="Number of classes, the normal one included.")
    ] = None,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
    base: Annotated[
        Path | None,
        typer.Option(help="Labelled defects of other products: MVTec AD layout or manifest."),
    ] = None,
    normals: NormalsFolder = None,
    normal_maps: Annotated[
        Path | None, typer.Option(help="Anomaly maps of the normal parts, next to --maps.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.  [default: runs/PARTS]")] = None,
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    backbone: Backbone = None,
    weights: WeightsFile = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
) -> None:
    """Discover the kinds of defects among PARTS; an interrupted run goes on where it stopped."""
    from anomalyncd.discovery import AnomalyNCD
    from anomalyncd.report.report import write_report
    from anomalyncd.runs import discover_run

    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore, "base": base}
    given |= {"normals": normals, "normal_maps": normal_maps}
    options = {"backbone": backbone} if backbone else {}
    estimator = AnomalyNCD(
        classes, weights=weights, preset=preset, random_state=seed, device=device, **options
    )
    run = out or Path("runs") / _name(parts)
    started = time.perf_counter()
    discover_run(estimator, parts, run, overwrite=overwrite, **given)
    try:
        page = write_report(run)
    except KeyboardInterrupt as interrupt:
        complain(f"interrupted; the run is finished, 'anomalyncd report {run}' writes its page")
        raise typer.Exit(130) from interrupt
    print_classes(estimator.verdicts_.classes)
    say(f"{len(estimator.labels_)} parts in {time.perf_counter() - started:.0f} s; see {page}")


@app.command()
def predict(
    run: RunFolder,
    parts: PartsFolder,
    maps: MapsFolder = None,
    masks: MasksFolder = None,
    boxes: BoxesFile = None,
    ignore: IgnorePath = None,
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
    given = {"maps": maps, "masks": masks, "boxes": boxes, "ignore": ignore}
    verdicts = estimator.inspect(parts, folder=folder, **given)
    write_prediction(verdicts, folder, point.threshold if point else None)
    print_classes(verdicts.classes)
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


@app.command()
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


@app.command()
def weights(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="timm's name.")] = None,
) -> None:
    """Fetch and check the weights of a backbone and say where they lie."""
    from anomalyncd.model.weights import DEFAULT_BACKBONE, load_backbone, locate_weights

    chosen = name or DEFAULT_BACKBONE
    load_backbone(chosen)
    path = locate_weights(chosen)
    say(f"{chosen}: {path} ({_source(path)})")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the parts and the run.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the discovery; the parts stay.")] = 0,
    product: MadeProduct = "plates",
) -> None:
    """Make photographs of plates or bolts with six kinds of defects, and discover them."""
    from anomalyncd.data.made_parts import make_parts
    from anomalyncd.data.made_products import PRODUCTS
    from anomalyncd.data.parts import Parts
    from anomalyncd.discovery import AnomalyNCD
    from anomalyncd.evaluation.baselines import kmeans_on_whole_images
    from anomalyncd.evaluation.evaluate import evaluate_classes, evaluate_run
    from anomalyncd.evaluation.labels import labels_from_names
    from anomalyncd.model.weights import load_backbone
    from anomalyncd.report.report import write_report
    from anomalyncd.runs import discover_run

    folder, run, kinds = out / "parts", out / "run", PRODUCTS[product].kinds
    n_classes = len(kinds) + 1
    if not (folder / "parts.csv").is_file():
        make_parts(folder, product=product)
    if not (folder / "test" / kinds[0]).is_dir():
        raise InputError(f"'{folder}' holds another product than {product}; name another --out")
    estimator = AnomalyNCD(n_classes, random_state=seed)
    discover_run(estimator, folder, run, overwrite=True)
    page = write_report(run)
    evaluation = evaluate_run(run)
    parts = Parts.from_folder(folder)
    plain = kmeans_on_whole_images(load_backbone(), parts, n_classes, seed)
    baseline = evaluate_classes(labels_from_names(parts.names), plain)
    print_frame(evaluation.confusion.reset_index(), "Parts of each true class")
    scores = {"AnomalyNCD": evaluation, "k-means on whole images": baseline}
    print_scores(scores)
    print_detection(evaluation.detection)
    seconds = sum(estimator.stages_.seconds.values())
    say(f"{len(parts)} parts in {seconds:.0f} s; see {page}")


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


def _source(path: Path) -> str:
    from anomalyncd.cache import cache_folder
    from anomalyncd.model.weights import WEIGHTS_VARIABLE

    if os.environ.get(WEIGHTS_VARIABLE):
        return f"named by {WEIGHTS_VARIABLE}"
    return "in the cache" if path.is_relative_to(cache_folder()) else "from the Hugging Face hub"


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
