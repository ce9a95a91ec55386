"""Labels of a run, as its label book has them, out of and into the formats of other tools."""

from pathlib import Path

import numpy as np
import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.exchange.labelled import LabelledRegions, label_run, marked_boxes
from anomalyncd.exchange.matching import MatchedLabels, match_regions
from anomalyncd.exchange.reading import read_labels
from anomalyncd.exchange.writing import write_labels
from anomalyncd.exchange.xml_formats import voc_names
from anomalyncd.labels.book import Named
from anomalyncd.results.run_folder import Run


def labelled_run(run: Run) -> LabelledRegions:
    """The regions of a run in the classes of its label book.

    What a person said counts at once; other regions are in the class of the last correction. Ids
    of regions are those that the label book has, or will have once it is made.

    Args:
        run: The run.
    """
    if not run.has_labels:
        return label_run(run)
    book = run.labels
    state, said = book.state, book.said()
    followed = [state.resolve(one) for one in run.regions["class"].tolist()]
    classes = np.where(said >= 0, said, followed)
    found = label_run(run, book.ids)
    confidence = np.where(said >= 0, 1.0, found.regions["confidence"])
    regions = found.regions.assign(
        class_id=classes,
        class_name=[state.classes[one].name for one in classes.tolist()],
        confirmed=said >= 0,
        confidence=confidence,
    )
    columns = ["id", "name", "description", "colour", "kind", "severity"]
    listed = [{name: getattr(one, name) for name in columns} for one in state.in_use]
    return LabelledRegions(found.images, regions, pd.DataFrame(listed), found.masks)


def export_labels(run: Run, label_format: str, target: str | Path, *, normal: bool = False) -> None:
    """Writes the labelled regions of a run, see `write_labels`.

    Raises:
        InputError: As for `write_labels`.
    """
    write_labels(labelled_run(run), label_format, target, normal)


def import_labels(run: Run, path: str | Path) -> MatchedLabels:
    """Reads labels from elsewhere into the label book of a run, as one action.

    An export that is older than a merge or a new name of a class is about the class as it is now.

    Args:
        run: The run.
        path: As for `read_labels`.

    Returns:
        What was labelled, and which labels belong to no region.

    Raises:
        InputError: As for `read_labels`; or no label belongs to a region of the run.
    """
    book, labelled = run.labels, labelled_run(run)
    rows = read_labels(path, run.images)
    classes = book.state.classes
    for number, written in voc_names(labelled.classes).items():
        rows.loc[rows["class_name"] == written, "class_name"] = classes[number].name
    matched = match_regions(rows, labelled.regions, marked_boxes(labelled))
    if matched.labels.empty:
        raise InputError(
            f"no label in '{path}' belongs to a region of run '{run.folder}': {matched.summary}"
        )
    said = matched.labels
    named = [
        Named(
            name,
            said["id"][(said["class_name"] == name) & (said["class_id"] == class_id)].tolist(),
            class_id=int(class_id) if class_id.isdecimal() else None,
        )
        for name, class_id in dict.fromkeys(zip(said["class_name"], said["class_id"], strict=True))
    ]
    book.add_named(named)
    return matched
