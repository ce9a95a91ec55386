"""The commands of a run: discover, estimate, predict and evaluate."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anomalyncd.cli.console import (
    complain,
    print_class_number,
    print_classes,
    print_detection,
    print_frame,
    print_kinds,
    print_scores,
    say,
)
from anomalyncd.cli.options import (
    READING,
    ClusterAddress,
    EngineName,
    EstimatorOptions,
    Only,
    RunFolder,
    TableFolder,
    WeightsFile,
    existing,
    known_device,
    with_groups,
)
from anomalyncd.errors import InputError
from anomalyncd.inputs.sources import InputSources
from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    from anomalyncd.runtime.engine import Engine


@with_groups
def discover(
    sources: InputSources,
    *,
    n_classes: Annotated[
        int | None,
        typer.Option(
            "--classes",
            min=2,
            help="Number of classes, including the normal class.",
            show_default="estimated",
        ),
    ] = None,
    defects: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of kinds of defects, in place of --classes, which is one more.",
            show_default="estimated",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/IMAGES")
    ] = None,
    options: EstimatorOptions,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished run in this folder.")
    ] = False,
    devices: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of devices, or of processes on the CPU, that train together; for presets "
            "that train, such as paper.",
        ),
    ] = 1,
    engine: EngineName = "process",
    address: ClusterAddress = None,
) -> None:
    """Discover the kinds of defects in IMAGES; an interrupted run continues where it stopped.

    With --engine ray, IMAGES may also be a place such as s3://bucket/images, or Parquet that holds
    the images; they are copied to a folder beside the run.
    """
    if n_classes is not None and defects is not None:
        raise InputError("`n_classes` and `defects` are both given; give only one of them")
    _refuse_address(engine, address)
    if defects is not None:
        n_classes = defects + 1
    from anomalyncd.report.report import write_report
    from anomalyncd.results.run_folder import read_table
    from anomalyncd.workflows import discover_run

    estimator = options.estimator(n_classes, sources).set_params(devices=devices)
    run = out or Path("runs") / _name_of(sources.images)
    started = time.perf_counter()
    images = sources.images
    with _engine(engine, address, options.device) as chosen:
        if chosen is not None:
            from anomalyncd.scale.fetching import fetch_images

            assert isinstance(images, str | Path)
            images = fetch_images(images, run.with_name(f"{run.name}-images"), chosen)
        discover_run(
            estimator,
            images,
            run,
            overwrite=overwrite,
            engine=chosen,
            **sources.further(),
        )
    try:
        page = write_report(run)
    except KeyboardInterrupt as interrupt:
        complain(f"interrupted; the run is finished, 'anomalyncd report {run}' writes its report")
        raise typer.Exit(130) from interrupt
    except InputError as error:
        raise InputError(
            f"{error}; the run is finished, 'anomalyncd report {run}' writes its report"
        ) from error
    if estimator.foreground_summary_:
        say(f"foreground: {estimator.foreground_summary_}")
    print_classes(read_table(run, "classes.csv"))
    if estimator.class_number_ is not None:
        say(str(estimator.class_number_))
    seconds = time.perf_counter() - started
    say(f"{counted(len(estimator.labels_), 'image')} in {seconds:.0f} s; see {page}")


@with_groups
def estimate(
    sources: InputSources,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the estimate and its plot, in which discover continues with the same "
            "options."
        ),
    ] = None,
    options: EstimatorOptions,
) -> None:
    """Estimate the number of classes in IMAGES, as discover does without --classes."""
    from anomalyncd.report.page import write_class_number
    from anomalyncd.workflows import estimate_run

    estimator = options.estimator(None, sources)
    if out is None:
        number = estimator.estimate_n_classes(sources.images, **sources.further())
        print_class_number(number)
        return
    number = estimate_run(estimator, sources.images, out, **sources.further())
    page = write_class_number(number, out)
    print_class_number(number)
    say(f"see {page}")


@with_groups
def predict(
    run: RunFolder,
    sources: Annotated[
        InputSources, Only("images", "maps", "masks", "boxes", "ignore", "foreground", *READING)
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the prediction.", show_default="RUN/predictions/IMAGES"),
    ] = None,
    weights: WeightsFile = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device to compute on, see discover.",
            show_default="as for the run",
            callback=known_device,
        ),
    ] = None,
    engine: EngineName = "process",
    address: ClusterAddress = None,
) -> None:
    """Classify new IMAGES into the classes of a RUN.

    With --engine ray, IMAGES may also be a place such as s3://bucket/images, or Parquet that holds
    the images, and the results are written as Parquet.
    """
    _refuse_address(engine, address)
    if engine == "ray":
        _predict_with_ray(run, sources, out, address, weights=weights, device=device)
        return
    from anomalyncd.results.operating_point import read_point
    from anomalyncd.workflows import predict_run

    folder = out or run / "predictions" / _name_of(sources.images)
    point = read_point(run)
    predictions = predict_run(
        run,
        sources.images,
        folder,
        threshold=point.threshold if point else None,
        weights=weights,
        device=device,
        **sources.further(),
    )
    images = predictions.images
    print_classes(predictions.classes)
    meanings = {"unseen": "like nothing in the run", "unsure": "between known classes"}
    for state, meaning in meanings.items():
        if count := int(images[state].sum()):
            say(f"{counted(count, 'image is', 'images are')} {state} ({meaning})")
    if point:
        rejected = int((images["score"] > point.threshold).sum())
        say(f"{counted(rejected, 'image is', 'images are')} NG (score above {point.threshold:.4f})")
    say(f"{counted(len(images), 'image')}; see {folder}")


def _predict_with_ray(
    run: Path, sources: InputSources, out: Path | None, address: str | None, **options: Any
) -> None:
    further = sources.further()
    skip_damaged = further.pop("skip_damaged", False)
    if further:
        raise InputError(
            f"`{next(iter(further))}` cannot be used with the engine 'ray', which reads images "
            "alone; leave out `engine`"
        )
    from anomalyncd.scale.predicting import predict_with_ray

    folder = out or run / "predictions" / f"{_name_of(sources.images)}-ray"
    images = sources.images
    assert isinstance(images, str | Path)
    count = predict_with_ray(
        run, images, folder, address=address, skip_damaged=skip_damaged, **options
    )
    say(f"{counted(count, 'image')}; see {folder}")


def _refuse_address(engine: str, address: str | None) -> None:
    if address is not None and engine != "ray":
        raise InputError("`address` is that of a cluster of Ray; give `engine` ray as well")


@contextmanager
def _engine(engine: str, address: str | None, device: str) -> "Iterator[Engine | None]":
    """The engine of a discovery; None works in this process."""
    if engine == "process":
        yield None
        return
    from anomalyncd.scale.engine import ray_engine

    with ray_engine(address, device) as chosen:
        yield chosen


def evaluate(
    run: TableFolder,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="True masks, by which maps and regions are scored: a folder, a manifest with the "
            "column mask, or annotations.",
            show_default="ground_truth/ beside test/",
            callback=existing,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Score a RUN against the labels of its images, or against the folders that they lie in.

    Where the values of true masks number the kinds of defects, or annotations name them, the
    classes of regions are scored too, and images need no labels.
    """
    from anomalyncd.evaluation.evaluate import evaluate_run

    evaluation = evaluate_run(run, masks=masks)
    if as_json:
        typer.echo(json.dumps(evaluation.to_dict()))
        return
    if evaluation.scores is None:
        say("images are not scored, since they have no labels of two classes or more")
    else:
        print_frame(evaluation.confusion.reset_index(), "Images of each true class in each class")
        print_scores({str(run): evaluation})
    print_detection(evaluation.detection)
    print_kinds(evaluation.regions)
    for name, count in evaluation.left_out.items():
        say(f"left out: {count} in {name}")


def _name_of(images: object) -> str:
    path = Path(str(images)).expanduser().resolve()
    return (path.stem if path.is_file() else path.name) or "images"
