"""A run on disk: tables, arrays, masks, maps, the model, and how all of it came about."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.embedding.checkpoint import FOLDER as CHECKPOINT
from anomalyncd.embedding.token_store import MAPPED
from anomalyncd.errors import InputError
from anomalyncd.estimator import AnomalyNCD
from anomalyncd.foreground.masks import FOLDER as OBJECTS
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.io.files import refuse_file
from anomalyncd.io.json_files import write_json
from anomalyncd.results.predictions import Predictions
from anomalyncd.results.run_folder import RECORD
from anomalyncd.run_record import record_of
from anomalyncd.runtime.logs import logged_to

_LOG = "run.log"
_ESTIMATE = "class_number.json"
_ESTIMATE_PAGE = "class_number.html"
_SCRATCH = (MAPPED, "base", CHECKPOINT)
_WORK = frozenset({"maps", "normals", OBJECTS, _LOG, _ESTIMATE, _ESTIMATE_PAGE, *_SCRATCH})
_PREDICTION = ("regions.csv", "masks", "images.csv")
_RESULTS = frozenset(
    {"images.csv", "regions.csv", "classes.csv", "features.npy", "probabilities.npy", "counts.npy"}
    | {"attention.npy", "normal_scores.npy", "report.html", "operating.json"}
    | {"masks", "model", "predictions", RECORD}
)


def discover_run(
    estimator: AnomalyNCD,
    images: ImagesLike,
    folder: str | Path,
    *,
    overwrite: bool = False,
    **inputs: Any,
) -> None:
    """Discovers classes and writes the run; after an interruption the same call goes on.

    Args:
        estimator: Not fitted yet.
        images: As for `AnomalyNCD.fit`.
        folder: A new or empty folder, or that of an interrupted run.
        overwrite: Whether a finished run may be there; its tables and model stay until
            the new ones are complete, its maps only if they fit the new run.
        inputs: Further arguments of `AnomalyNCD.fit`.

    Raises:
        InputError: The folder or an input cannot be used; nothing long has started then.
    """
    folder = Path(folder).expanduser()
    refuse_folder_within(folder, images)
    _refuse_other_content(folder, overwrite)
    _refuse_open_files(folder, _RESULTS)
    with logged_to(folder / _LOG):
        estimator.fit(images, folder=folder, **inputs)
        write_run(estimator, folder, {"images": images, **inputs})


def estimate_run(
    estimator: AnomalyNCD, images: ImagesLike, folder: str | Path, **inputs: Any
) -> ClassNumber:
    """Estimates the number of classes and writes `class_number.json`.

    Args:
        estimator: Its own number of classes does not matter.
        images: As for `AnomalyNCD.fit`.
        folder: A new or empty folder, or that of an estimate or an interrupted run; `discover_run`
            with the same folder and inputs goes on from what is kept in it.
        inputs: Further arguments of `AnomalyNCD.fit`.

    Raises:
        InputError: The folder or an input cannot be used; nothing long has started then.
    """
    folder = Path(folder).expanduser()
    refuse_folder_within(folder, images)
    if (folder / RECORD).exists():
        raise InputError(f"'{folder}' holds a finished run; name another folder for the estimate")
    _refuse_other_content(folder, overwrite=False)
    with logged_to(folder / _LOG):
        counted = estimator.estimate_n_classes(images, folder=folder, **inputs)
        write_json(folder / _ESTIMATE, asdict(counted))
    return counted


def write_run(
    estimator: AnomalyNCD, folder: str | Path, inputs: Mapping[str, Any] | None = None
) -> None:
    """Writes a fitted estimator's tables, arrays, masks, model and `run.json` into a folder.

    Args:
        estimator: Fitted here, not loaded.
        folder: Made where it is missing; an earlier run in it is replaced once all is written.
        inputs: What was given to `fit`; paths among it are recorded.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".results-") as workshop:
        new = Path(workshop)
        _write_tables(estimator.predictions_, new)
        estimator.predictions_.classes.to_csv(new / "classes.csv", index=False, lineterminator="\n")
        _write_array(new / "features.npy", estimator.predictions_.features)
        _write_array(new / "probabilities.npy", estimator.predictions_.probabilities)
        _write_array(new / "counts.npy", estimator.predictions_.counts)
        _write_array(new / "normal_scores.npy", estimator.normal_scores_)
        if estimator.attention_ is not None:
            _write_array(new / "attention.npy", estimator.attention_)
        estimator.save(new / "model")
        write_json(new / RECORD, record_of(estimator, inputs or {}))
        (folder / RECORD).unlink(missing_ok=True)
        for name in [*sorted(_RESULTS - {RECORD}), RECORD]:
            _move(new / name, folder / name)
    outdated = (
        () if estimator.foreground_summary_ else (OBJECTS,)
    )  # of an earlier run that looked for them
    for name in (*_SCRATCH, *outdated):
        _remove(folder / name)


def prepare_prediction(folder: Path, images: ImagesLike) -> None:
    """Raises if a prediction cannot be written into a folder, before it is made.

    Raises:
        InputError: The folder is a file, lies among the images, or holds something else than an
            earlier prediction, or a file in it is open in another program.
    """
    refuse_file(folder)
    refuse_folder_within(folder, images)
    if not folder.is_dir():
        return
    strange = _visible(folder) - {*_PREDICTION, *_WORK}
    if strange:
        raise InputError(
            f"'{folder}' holds '{min(strange)}', which is no part of a prediction; name a new or "
            "empty folder"
        )
    _refuse_open_files(folder, _PREDICTION)


def write_prediction(
    predictions: Predictions, folder: str | Path, threshold: float | None = None
) -> None:
    """Writes `images.csv`, `regions.csv` and masks of new images; replaces those that are there.

    Args:
        predictions: Of the images.
        folder: Made where it is missing.
        threshold: Score above which a image is NG; adds a column `ok` to `images.csv`.
    """
    if threshold is not None:
        images = predictions.images.assign(ok=predictions.images["score"] <= threshold)
        predictions = replace(predictions, images=images)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".results-") as workshop:
        _write_tables(predictions, Path(workshop))
        for name in _PREDICTION:
            _move(Path(workshop) / name, folder / name)
    for name in _SCRATCH:
        _remove(folder / name)


def refuse_folder_within(folder: Path, images: ImagesLike) -> None:
    """Raises if results would lie among the images, where masks would count as images.

    Raises:
        InputError: The folder lies within the folder of images.
    """
    if not isinstance(images, str | Path):
        return
    source = Path(images).expanduser().resolve()
    if source.is_dir() and (source in folder.resolve().parents or source == folder.resolve()):
        raise InputError(
            f"the results '{folder}' would lie among the images '{images}' and be taken for images; "
            "name a folder elsewhere (on the command line --out)"
        )


def _refuse_other_content(folder: Path, overwrite: bool) -> None:
    refuse_file(folder)
    if not folder.exists():
        return
    found = _visible(folder)
    if RECORD in found and not overwrite:
        raise InputError(
            f"'{folder}' holds a finished run; name another folder, or allow it to be replaced "
            "(on the command line --overwrite)"
        )
    strange = found - _WORK - (_RESULTS if overwrite else frozenset())
    if strange:
        raise InputError(
            f"'{folder}' holds '{min(strange)}', which is no part of an interrupted run; "
            "name a new or empty folder"
        )


def _visible(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}


def _refuse_open_files(folder: Path, names: Iterable[str]) -> None:
    """Raises if results cannot be replaced; Windows keeps a table that a spreadsheet shows."""
    for path in (folder / name for name in sorted(names)):
        if path.is_file():
            try:
                path.open("r+b").close()
            except OSError as error:
                raise InputError(
                    f"'{path}' cannot be replaced ({error.strerror}); close the program that has "
                    "it open, or allow it to be written"
                ) from error


def _write_tables(predictions: Predictions, folder: Path) -> None:
    predictions.images.to_csv(folder / "images.csv", index=False, lineterminator="\n")
    predictions.regions.to_csv(folder / "regions.csv", index=False, lineterminator="\n")
    predictions.masks.save(folder / "masks", list(predictions.images["name"]))


def _write_array(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _move(source: Path, target: Path) -> None:
    """Puts something new in the place of what is there; without it the place is empty."""
    if not (source.is_file() and target.is_file()):
        _remove(target)
    if source.exists():
        source.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
