"""Finished runs that change: corrected, grown, given normal images or an operating point."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from anomalyncd.estimator import AnomalyNCD
from anomalyncd.growth.adding import (
    GROWING,
    Growth,
    describe_growth,
    growth_between,
    inputs_to_add,
    with_images_added,
    write_arrays,
    write_pictures,
)
from anomalyncd.images.image_set import as_image_set
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.io.component import Component
from anomalyncd.io.json_files import write_json
from anomalyncd.io.lock import exclusive, only_writer
from anomalyncd.io.tables import write_table
from anomalyncd.io.writing import refuse_unwritable, writing
from anomalyncd.results.corrections import (
    Changes,
    CorrectedRun,
    Labels,
    changes_between,
    correct_tables,
)
from anomalyncd.results.fit_counts import FitCounts
from anomalyncd.results.model_file import StoredModel, read_model, restoring, write_changed
from anomalyncd.results.model_folder import MODEL
from anomalyncd.results.operating_point import OperatingPoint, read_point, write_point
from anomalyncd.results.operation import Operation
from anomalyncd.results.predictions import Predictions
from anomalyncd.results.replacement import remove, replace_together
from anomalyncd.results.run_folder import RECORD, Run, read_run
from anomalyncd.results.run_record import describe_inputs
from anomalyncd.results.run_writing import LOG_FILE, refuse_folder_within
from anomalyncd.runtime.logs import LOG, logged_to


def correct_run(run: str | Path) -> Changes:
    """Refits the classes of a run to what a person said; tables and model are replaced together.

    What was said holds; the classes of all other regions and images follow from it, and so do those
    of new images from then on. With nothing said, the classes of the discovery come back.

    Args:
        run: Folder of a finished run; its label book holds what was said.

    Returns:
        What changed.

    Raises:
        InputError: The folder or its label book cannot be used.
    """
    with _alone(run) as before:
        folder, book = before.folder, before.labels
        state = book.state
        labels = Labels.of_book(book, state)
        stored = read_model(folder / MODEL)
        corrected = _refitted(before, labels, stored)
        changes = changes_between(before, corrected, labels.said)
        with replace_together(folder) as new:
            _write_refitted(corrected, stored, before, new)
            write_json(new / RECORD, before.record | {"corrected": asdict(changes)})
        book.note("corrected", state, asdict(changes))
    return changes


def operate_run(run: str | Path, point: OperatingPoint) -> None:
    """Saves an operating point in a run and in its model, which are replaced together.

    The model also learns the severities and costs that the label book states now.

    Args:
        run: Folder of a finished run.
        point: The point.

    Raises:
        InputError: The folder cannot be used.
    """
    with _alone(run) as before:
        stored = read_model(before.folder / MODEL)
        corrected = stored.states.get("corrections") is not None
        operation = Operation.of_run(before, point, corrected)
        with replace_together(before.folder) as new:
            write_point(point, new)
            (new / MODEL).mkdir()
            write_changed(stored, {"operation": operation}, new / MODEL)


def grow_run(
    run: str | Path,
    images: ImagesLike,
    *,
    weights: str | Path | None = None,
    device: str | None = None,
    **inputs: Any,
) -> Growth:
    """Adds new images to a run: to its tables, arrays and masks, in the classes of its label book.

    The classes of the discovery stay what they are, and take in the new regions; what was named and
    said holds. All files are replaced together. After an interruption the run is as before, and the
    same call goes on from the anomaly maps that were made.

    Args:
        run: Folder of a finished run.
        images: As for `AnomalyNCD.fit`. Those that are in the run already are left out.
        weights: See `AnomalyNCD.load`.
        device: See `AnomalyNCD.load`.
        inputs: Further arguments of `AnomalyNCD.classify`.

    Returns:
        What was added, and how the earlier verdicts changed.

    Raises:
        InputError: The folder or an input cannot be used, no image is new, or another image has the
            name of a new one; nothing that takes long has started then.
    """
    before = read_run(run)
    folder = before.folder
    refuse_unwritable(folder)
    refuse_folder_within(folder, images)
    new_images, further = inputs_to_add(before, images, inputs)
    estimator = AnomalyNCD.load(folder / MODEL, weights=weights, device=device)
    with only_writer(folder), writing(folder / LOG_FILE), logged_to(folder / LOG_FILE):
        predictions = estimator.classify(new_images, folder=folder / GROWING, **further)
        with _alone(folder) as before:  # A person may have corrected it in the meantime.
            growth = _add(before, predictions, {"images": images, **inputs})
        LOG.info("%s", growth)
    remove(folder / GROWING)
    return growth


def add_normals_to_run(
    run: str | Path, normals: ImagesLike, *, weights: str | Path | None = None
) -> int:
    """Adds normal images to the model of a run, which is replaced once all is written.

    What was added is recorded in `run.json` as `added_normals`.

    Args:
        run: Folder of a finished run that was given normal images.
        normals: As for `AnomalyNCD.add_normals`.
        weights: See `AnomalyNCD.load`.

    Returns:
        Number of the images that were given.

    Raises:
        InputError: The model has no memory bank, cannot be replaced, or an image cannot be used.
    """
    opened = as_image_set(normals, "train")
    added = describe_inputs({"normals": normals}) | {"n_images": len(opened)}
    with _alone(run) as before:
        model = before.folder / MODEL
        refuse_unwritable(model)
        AnomalyNCD.load(model, weights=weights).add_normals(opened).save(model)
        earlier = before.record.get("added_normals", [])
        write_json(before.folder / RECORD, before.record | {"added_normals": [*earlier, added]})
    return len(opened)


@contextmanager
def _alone(run: str | Path) -> Iterator[Run]:
    """Reads a run that no other program changes meanwhile."""
    folder = read_run(run).folder
    refuse_unwritable(folder)
    with exclusive(folder):
        yield read_run(folder)


def _add(before: Run, predictions: Predictions, inputs: Mapping[str, Any]) -> Growth:
    """Appends new images to the files of a run and refits its classes."""
    folder, grown = before.folder, with_images_added(before, predictions)
    stored, state = read_model(folder / MODEL), before.labels.state
    labels = Labels.of_book(before.labels, state)
    # The label book learns of the new regions once they are in the run.
    said = np.concatenate([labels.said, np.full(len(predictions.regions), -1, np.int64)])
    refitted = _refitted(grown, replace(labels, said=said), stored)
    growth = growth_between(before, refitted)
    entry = describe_growth(growth, describe_inputs(inputs))
    write_pictures(predictions, folder)
    with replace_together(folder) as new:
        _write_refitted(refitted, stored, before, new)
        write_arrays(grown, new)
        record = grown.record | {"grown": [*before.record.get("grown", []), entry]}
        write_json(new / RECORD, record)
    read_run(folder).labels.note("grown", state, entry)
    return growth


def _refitted(run: Run, labels: Labels, stored: StoredModel) -> CorrectedRun:
    with restoring(run.folder / MODEL):
        seed, reliability = int(stored.parameters["random_state"]), stored.component("reliability")
    return correct_tables(run, labels, reliability, stored.config, seed)


def _write_refitted(refitted: CorrectedRun, stored: StoredModel, run: Run, folder: Path) -> None:
    """Writes the tables and the model of a run whose classes were refitted into an empty folder."""
    write_table(refitted.images, folder / "images.csv")
    write_table(refitted.regions, folder / "regions.csv")
    write_table(refitted.classes, folder / "classes.csv")
    learned: dict[str, Component] = {
        "corrections": refitted.corrections,
        "reliability": refitted.reliability,
        "operation": Operation.of_run(run, read_point(run.folder), corrected=True),
        "fit_counts": _counts(refitted, stored),
    }
    (folder / MODEL).mkdir()
    write_changed(stored, learned, folder / MODEL)


def _counts(refitted: CorrectedRun, stored: StoredModel) -> FitCounts:
    counts = FitCounts.of_images(refitted.images, refitted.classes)
    before: FitCounts | None = stored.component("fit_counts")
    scores_differ = before is not None and not before.score_edges
    return counts.without_scores() if scores_differ else counts
