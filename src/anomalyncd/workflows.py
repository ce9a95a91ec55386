"""Discover, predict, estimate and make maps on disk: what the command line calls."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE, check_backbone
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import Config
from anomalyncd.cost import map_bytes, require_disk
from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.estimator import AnomalyNCD
from anomalyncd.foreground.masks import FOLDER as FOREGROUND
from anomalyncd.inputs.inputs import ImagesLike, Inputs
from anomalyncd.io.arrays import write_numbers
from anomalyncd.io.json_files import write_json
from anomalyncd.io.lock import only_writer
from anomalyncd.io.tables import write_table
from anomalyncd.io.writing import refuse_unwritable, writing
from anomalyncd.labels.book import FILE as LABELS
from anomalyncd.labels.book import Named
from anomalyncd.pipeline import Pipeline
from anomalyncd.results.model_folder import MODEL
from anomalyncd.results.predictions import Predictions
from anomalyncd.results.replacement import remove
from anomalyncd.results.run_folder import FORMAT, RECORD, read_run
from anomalyncd.results.run_record import (
    describe_circumstances,
    describe_inputs,
    describe_model,
)
from anomalyncd.results.run_writing import (
    ESTIMATE,
    LOG_FILE,
    prepare_prediction,
    prepare_run,
    replace_results,
    write_prediction,
    write_tables,
)
from anomalyncd.revision import correct_run
from anomalyncd.runtime.device import (
    check_seed,
    resolve_device,
    resolve_precision,
    use_free_processors,
)
from anomalyncd.runtime.engine import Engine
from anomalyncd.runtime.logs import LOG, logged_to
from anomalyncd.runtime.measurement import Stages
from anomalyncd.runtime.wording import counted


def discover_run(
    estimator: AnomalyNCD,
    images: ImagesLike,
    folder: str | Path,
    *,
    overwrite: bool = False,
    engine: Engine | None = None,
    **inputs: Any,
) -> None:
    """Discovers classes and writes the run; after an interruption the same call goes on.

    Args:
        estimator: Not fitted yet.
        images: As for `AnomalyNCD.fit`.
        folder: A new or empty folder, or that of an interrupted run.
        overwrite: Whether the folder may hold a finished run. Its tables and its model stay until
            the new ones are complete; its maps are used if they fit the new run.
        engine: See `AnomalyNCD.fit`.
        inputs: Further arguments of `AnomalyNCD.fit`.

    Raises:
        InputError: The folder or an input cannot be used; nothing that takes long has started then.
    """
    folder = Path(folder).expanduser()
    prepare_run(folder, images, overwrite)
    with only_writer(folder), writing(folder / LOG_FILE), logged_to(folder / LOG_FILE):
        estimator.fit(images, folder=folder, engine=engine, **inputs)
        write_run(estimator, folder, {"images": images, **inputs})


def write_run(
    estimator: AnomalyNCD, folder: str | Path, inputs: Mapping[str, Any] | None = None
) -> None:
    """Writes tables, arrays, masks, the model and `run.json` of a fitted estimator into a folder.

    A label book that the folder holds is carried over: its classes keep their ids, and what was
    said holds for the regions at the same places.

    Args:
        estimator: Fitted here, not loaded.
        folder: Made where it is missing; an earlier run in it is replaced once all is written.
        inputs: What was given to `fit`; paths among it are recorded.
    """
    folder, predictions = Path(folder), estimator.predictions_
    arrays: dict[str, NDArray[Any] | None] = {
        "features": predictions.features,
        "probabilities": predictions.probabilities,
        "counts": predictions.counts,
        "normal_scores": estimator.normal_scores_,
        "attention": estimator.attention_,
    }
    with replace_results(folder) as new:
        write_tables(predictions, new)
        write_table(predictions.classes, new / "classes.csv")
        for name, array in arrays.items():
            if array is not None:
                write_numbers(new / f"{name}.npy", array)
        estimator.save(new / MODEL)
        write_json(new / RECORD, _record(estimator, inputs or {}))
    if estimator.said_:
        book = read_run(folder).labels
        book.add_named([Named(name, [int(book.ids[row])]) for row, name in estimator.said_.items()])
    if (folder / LABELS).is_file():
        correct_run(folder)
    if estimator.foreground_summary_ is None:
        remove(folder / FOREGROUND)  # Left by an earlier run that looked for the foreground.


def predict_run(
    run: str | Path,
    images: ImagesLike,
    folder: str | Path,
    *,
    threshold: float | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    **inputs: Any,
) -> Predictions:
    """Classifies new images by the model of a run and writes the tables and masks.

    Args:
        run: Folder of a finished run.
        images: As for `AnomalyNCD.fit`.
        folder: A new or empty folder, or that of an earlier prediction, which is replaced.
        threshold: Score above which an image is NG; adds a column `ok` to `images.csv`.
        weights: See `AnomalyNCD.load`.
        device: See `AnomalyNCD.load`.
        inputs: Further arguments of `AnomalyNCD.classify`.

    Raises:
        InputError: The folder, the run or an input cannot be used.
    """
    folder = Path(folder).expanduser()
    prepare_prediction(folder, images)
    warn_of_pending_labels(Path(run))
    estimator = AnomalyNCD.load(Path(run) / MODEL, weights=weights, device=device)
    with only_writer(folder):
        predictions = estimator.classify(images, folder=folder, **inputs)
        write_prediction(predictions, folder, threshold)
    return predictions


def warn_of_pending_labels(run: Path) -> None:
    """Warns if the label book says something that changes classes and the model does not know."""
    if (run / LABELS).is_file() and not (book := read_run(run).labels).is_followed:
        LOG.warning(
            "the model of run '%s' does not follow %s on its classes yet; "
            "apply them with anomalyncd correct",
            run,
            counted(book.n_pending, "action"),
        )


def estimate_run(
    estimator: AnomalyNCD, images: ImagesLike, folder: str | Path, **inputs: Any
) -> ClassNumber:
    """Estimates the number of classes and writes `class_number.json`.

    Args:
        estimator: Its own number of classes does not matter.
        images: As for `AnomalyNCD.fit`.
        folder: A new or empty folder, or that of an estimate or an interrupted run; `discover_run`
            with the same folder and inputs goes on from what is saved in it.
        inputs: Further arguments of `AnomalyNCD.fit`.

    Raises:
        InputError: The folder or an input cannot be used; nothing that takes long has started then.
    """
    folder = Path(folder).expanduser()
    if (folder / RECORD).exists():
        raise InputError(f"'{folder}' holds a finished run; name another folder for the estimate")
    prepare_run(folder, images, overwrite=False)
    with only_writer(folder), writing(folder / LOG_FILE), logged_to(folder / LOG_FILE):
        number = estimator.estimate_n_classes(images, folder=folder, **inputs)
        write_json(folder / ESTIMATE, asdict(number))
    return number


def make_maps(
    inputs: Inputs,
    config: Config,
    folder: str | Path,
    *,
    backbone: str = DEFAULT_BACKBONE,
    weights: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    normals_folder: Path | None = None,
) -> Inputs:
    """Makes the anomaly maps of images with a built-in detector, as a discovery does.

    Args:
        inputs: Checked images, and normal images where there are some; given maps are ignored.
        config: Its stage `detector` is used.
        folder: Where the maps are written, `NAME.npy`.
        backbone: timm's name of the vision transformer.
        weights: File of its weights.
        seed: Seed of the reference images or of the memory bank.
        device: As for `AnomalyNCD`.
        normals_folder: Where maps of the normal images are written; None makes none.

    Returns:
        The inputs with their maps.

    Raises:
        InputError: The folder or a parameter cannot be used.
    """
    folder = Path(folder).expanduser()
    refuse_unwritable(folder)
    check_seed(seed)
    check_backbone(backbone, weights)
    use_free_processors()
    chosen = resolve_device(device)
    encoder = RegionEncoder(load_backbone(backbone, weights), config.encoder).to(chosen)
    encoder.vit.to(resolve_precision("auto", chosen))
    context = RunContext(encoder, config, seed, normals_folder or folder, Stages())
    require_disk(map_bytes(inputs, config) / 1e9, folder)
    without = replace(inputs, maps=None, masks=None, normal_maps=None)
    pipeline = Pipeline(context, without, maps_folder=folder)
    with only_writer(folder):
        normal_maps = None if normals_folder is None else pipeline.normal_maps
        return replace(inputs, maps=pipeline.maps, normal_maps=normal_maps)


def _record(estimator: AnomalyNCD, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that `run.json` holds, as JSON can hold it."""
    preset, number = estimator.preset, estimator.class_number_
    summary = estimator.foreground_summary_
    return {
        "format": FORMAT,
        "inputs": describe_inputs(inputs),
        "foreground": asdict(summary) if summary else None,
        "estimator": type(estimator).__name__,
        "parameters": estimator.get_params()
        | {"preset": preset if isinstance(preset, str) else None},
        "config": asdict(estimator.config()),
        "n_classes": estimator.n_classes_,
        "class_number": asdict(number) if number else None,
        "warnings": list(estimator.predictions_.warnings),
        "skipped": list(estimator.predictions_.skipped),
        "n_images": len(estimator.predictions_.images),
        "n_regions": len(estimator.predictions_.regions),
        **describe_model(estimator.model_),
        **describe_circumstances(estimator.stages_),
    }
