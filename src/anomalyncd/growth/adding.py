"""New images behind those of a run: which of them are new, and its tables and arrays with them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.foreground.masks import FOLDER as FOREGROUND
from anomalyncd.images.image_set import ImageSet, as_image_set
from anomalyncd.inputs.anomaly_maps import as_maps
from anomalyncd.inputs.inputs import ImagesLike, open_masks, open_places
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.arrays import write_numbers
from anomalyncd.io.columns import find_column
from anomalyncd.io.files import and_more
from anomalyncd.io.key import content_digest
from anomalyncd.io.writing import remove_temporary, write_atomically, writing
from anomalyncd.results.corrections import CorrectedRun
from anomalyncd.results.predictions import Predictions
from anomalyncd.results.replacement import remove
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.wording import counted

GROWING = ".growing"
"""Folder in a run folder for the maps of new images, until they are part of the run."""
_MAPS = "maps"


@dataclass(frozen=True)
class Growth:
    """What was added to a run, and what that changed."""

    n_images: int
    """Images that were added."""
    n_regions: int
    """Their regions."""
    n_old_images: int
    """Images that the run had before."""
    n_images_changed: int
    """Images among these whose class is another one than before."""
    n_regions_changed: int
    """Earlier regions whose class is another one than before."""

    def __str__(self) -> str:
        return (
            f"{counted(self.n_images, 'image')} with {counted(self.n_regions, 'region')} added; "
            f"{self.n_images_changed:,} of {self.n_old_images:,} earlier images and "
            f"{counted(self.n_regions_changed, 'earlier region')} changed their class"
        )


def inputs_to_add(
    run: Run, images: ImagesLike, inputs: Mapping[str, Any]
) -> tuple[ImagesLike, dict[str, Any]]:
    """The images that are not in a run yet, and what is known of these.

    An image of the same name counts as the same if it is the same file or has the same content.

    Args:
        run: The run.
        images: As for `AnomalyNCD.fit`.
        inputs: Further arguments of `AnomalyNCD.classify`.

    Raises:
        InputError: An image has the name of another one of the run, or none is new.
    """
    given = as_image_set(images)
    known = dict(zip(run.images["name"], run.images["path"], strict=True))
    same_name = [index for index, name in enumerate(given.names) if name in known]
    others = [i for i in same_name if not _same_image(given, i, Path(known[given.names[i]]))]
    if others:
        raise InputError(
            f"image '{given.names[others[0]]}'{and_more(len(others))} has the name of another "
            f"image of run '{run.folder}'; give each image a name of its own"
        )
    if len(same_name) == len(given):
        remove(run.folder / GROWING)  # Of a growth that was killed at its very end.
        raise InputError(f"all images given are in run '{run.folder}' already; give new ones")
    if not same_name:
        return images, dict(inputs)
    rows = [i for i in range(len(given)) if given.names[i] not in known]
    return given.select(rows), _of_images(given, rows, inputs)


def with_images_added(run: Run, predictions: Predictions) -> Run:
    """A run with further images behind those that it has, before its classes are refitted.

    Args:
        run: The run.
        predictions: Of the new images, with the probabilities of the discovery.

    Raises:
        InputError: An image of that name was added in the meantime.
    """
    doubled = set(run.images["name"]) & set(predictions.images["name"])
    if doubled:
        raise InputError(f"image '{min(doubled)}' was added to run '{run.folder}' meanwhile")
    attention = run.attention
    if attention is not None:
        if predictions.attention is None:
            raise InputError(f"run '{run.folder}' holds attention, its model makes none")
        attention = np.concatenate([attention, predictions.attention])
    probabilities = np.concatenate([run.probabilities, predictions.probabilities])
    grown = replace(
        run,
        images=_behind(run.images, predictions.images),
        regions=_behind(run.regions, predictions.regions),
        features=np.concatenate([run.features, predictions.features]),
        counts=np.concatenate([run.counts, _of_width(predictions.counts, run.counts.shape[1])]),
        attention=attention,
        record=run.record | _counted(run, predictions),
    )
    # The file has those of the regions so far until all files are replaced.
    grown.__dict__["probabilities"] = probabilities
    return grown


def growth_between(run: Run, refitted: CorrectedRun) -> Growth:
    """Compares a run with the tables that follow from it and further images."""
    n_images, n_regions = len(run.images), len(run.regions)
    images = run.images["class"].to_numpy() != refitted.images["class"].to_numpy()[:n_images]
    regions = run.regions["class"].to_numpy() != refitted.regions["class"].to_numpy()[:n_regions]
    return Growth(
        len(refitted.images) - n_images,
        len(refitted.regions) - n_regions,
        n_images,
        int(images.sum()),
        int(regions.sum()),
    )


def describe_growth(growth: Growth, inputs: Mapping[str, str]) -> dict[str, Any]:
    """What `run.json` and the label book record of a growth."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    numbers = {"n_images": growth.n_images, "n_regions": growth.n_regions}
    return {"when": when, **numbers, "n_images_changed": growth.n_images_changed, **inputs}


def write_pictures(predictions: Predictions, folder: Path) -> None:
    """Writes the masks of new images, and maps and foreground where a growth made them.

    Their names are new, so nothing in the run is replaced.

    Args:
        predictions: Of the new images.
        folder: The run folder.
    """
    names = list(predictions.images["name"])
    with writing(folder):
        remove_temporary(folder / "masks")
        predictions.masks.save(folder / "masks", names)
        for kind, suffix in ((_MAPS, ".npy"), (FOREGROUND, ".png")):
            remove_temporary(folder / kind)
            for name in names:
                source = folder / GROWING / kind / f"{name}{suffix}"
                if source.is_file():
                    with write_atomically(folder / kind / f"{name}{suffix}") as temporary:
                        shutil.copyfile(source, temporary)


def write_arrays(run: Run, folder: Path) -> None:
    """Writes the arrays that have a row for each region or image."""
    write_numbers(folder / "features.npy", run.features)
    write_numbers(folder / "probabilities.npy", run.probabilities)
    write_numbers(folder / "counts.npy", run.counts)
    if run.attention is not None:
        write_numbers(folder / "attention.npy", run.attention)


def _of_images(images: ImageSet, rows: Sequence[int], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Further inputs of some of the images that they were given for."""
    opened = dict(inputs)
    if opened.get("maps") is not None:
        opened["maps"] = as_maps(opened["maps"], images).select(rows)
    if opened.get("boxes") is not None:
        opened["masks"] = Masks.from_boxes(opened.pop("boxes"), images)
    openers = {"masks": open_masks, "ignore": open_places, "foreground": open_places}
    for name, open_it in openers.items():
        if opened.get(name) is not None:
            opened[name] = open_it(opened[name], images).select(rows)
    return opened


def _same_image(given: ImageSet, index: int, known: Path) -> bool:
    source = given.sources[index]
    if not isinstance(source, Path) or not known.is_file():
        return False
    return source.resolve() == known.resolve() or content_digest(source) == content_digest(known)


def _behind(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The rows of two tables; what a manifest says of images is blank where it says nothing."""
    joined = pd.concat([first, second], ignore_index=True)
    for name in joined.columns:
        column = find_column(str(name))
        if column is None:
            joined[name] = joined[name].fillna("")
        elif not column.states_class and name in first and name in second:
            joined[name] = joined[name].astype(first[name].dtype)
    return joined


def _of_width(counts: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Counts at as many thresholds as the run has; 0 where masks were given in place of maps."""
    fitted = np.zeros((len(counts), width), counts.dtype)
    shared = min(width, counts.shape[1])
    fitted[:, :shared] = counts[:, :shared]
    return fitted


def _counted(run: Run, predictions: Predictions) -> dict[str, Any]:
    return {
        "n_discovered": run.n_discovered,
        "n_images": len(run.images) + len(predictions.images),
        "n_regions": len(run.regions) + len(predictions.regions),
        "skipped": [*run.record.get("skipped", ()), *predictions.skipped],
    }
