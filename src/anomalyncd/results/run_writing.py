"""What a run folder holds, what may be written into it, and results that replace earlier ones."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from anomalyncd.embedding.checkpoint import FOLDER as CHECKPOINT
from anomalyncd.embedding.token_store import MAPPED
from anomalyncd.errors import InputError
from anomalyncd.foreground.masks import FOLDER as FOREGROUND
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.io.lock import exclusive, only_writer
from anomalyncd.io.tables import write_table
from anomalyncd.io.writing import refuse_unwritable, remove_abandoned, workshop
from anomalyncd.labels.book import FILE as LABELS
from anomalyncd.results.predictions import Predictions
from anomalyncd.results.replacement import PENDING, move, remove
from anomalyncd.results.run_folder import RECORD

LOG_FILE = "run.log"
ESTIMATE, ESTIMATE_PAGE = "class_number.json", "class_number.html"
SCRATCH = (MAPPED, "base", CHECKPOINT)
"""Deleted when the run is finished."""
_WORK = frozenset({"maps", "normals", FOREGROUND, LOG_FILE, ESTIMATE, ESTIMATE_PAGE, *SCRATCH})
_LABELS = frozenset({LABELS, f"{LABELS}-journal"})
"""What a person said stays when a run is made again."""
_PREDICTION = ("regions.csv", "masks", "images.csv")
_RESULTS = frozenset(
    {"images.csv", "regions.csv", "classes.csv", "features.npy", "probabilities.npy", "counts.npy"}
    | {"attention.npy", "normal_scores.npy", "report.html", "operating.json"}
    | {"masks", "model", "predictions", RECORD}
)


def prepare_run(folder: Path, images: ImagesLike, overwrite: bool) -> None:
    """Raises if a run cannot be written into a folder, before anything is made.

    Raises:
        InputError: The folder is a file, lies among the images, or holds something else than an
            interrupted run (a finished one if `overwrite`), or a file in it is open elsewhere.
    """
    refuse_folder_within(folder, images)
    _refuse_other_content(folder, overwrite)
    _refuse_open_files(folder, _RESULTS)


def prepare_prediction(folder: Path, images: ImagesLike) -> None:
    """Raises if a prediction cannot be written into a folder, before it is made.

    Raises:
        InputError: The folder is a file, lies among the images, or holds something else than an
            earlier prediction, or a file in it is open in another program.
    """
    refuse_unwritable(folder)
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


@contextmanager
def replace_results(folder: Path) -> Iterator[Path]:
    """Gives an empty folder; what is written into it replaces the results of an earlier run.

    Args:
        folder: The run folder; made where it is missing.

    Yields:
        A folder within it. Nothing is replaced unless all of it was written.
    """
    with workshop(folder) as new:
        yield new
        with exclusive(folder):
            remove_abandoned(folder)
            remove(folder / PENDING)  # Left by an interrupted correction of the earlier run.
            (folder / RECORD).unlink(missing_ok=True)
            for name in [*sorted(_RESULTS - {RECORD}), RECORD]:
                move(new / name, folder / name)
    for name in SCRATCH:
        remove(folder / name)


def write_tables(predictions: Predictions, folder: Path) -> None:
    """Writes `images.csv`, `regions.csv` and the masks."""
    write_table(predictions.images, folder / "images.csv")
    write_table(predictions.regions, folder / "regions.csv")
    predictions.masks.save(folder / "masks", list(predictions.images["name"]))


def write_prediction(
    predictions: Predictions, folder: str | Path, threshold: float | None = None
) -> None:
    """Writes `images.csv`, `regions.csv` and masks of new images; replaces those that are there.

    Args:
        predictions: Of the images.
        folder: Made where it is missing.
        threshold: Score above which an image is NG; adds a column `ok` to `images.csv`.
    """
    if threshold is not None:
        images = predictions.images.assign(ok=predictions.images["score"] <= threshold)
        predictions = replace(predictions, images=images)
    folder = Path(folder)
    remove_abandoned(folder)
    with workshop(folder) as new:
        write_tables(predictions, new)
        for name in _PREDICTION:
            move(new / name, folder / name)
    for name in SCRATCH:
        remove(folder / name)


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
            f"the folder of results '{folder}' lies within the images '{images}', so that results "
            "would be read as images; name a folder elsewhere"
        )


def _refuse_other_content(folder: Path, overwrite: bool) -> None:
    refuse_unwritable(folder)
    if not folder.exists():
        return
    found = _visible(folder)
    if RECORD in found and not overwrite:
        if not found.isdisjoint(SCRATCH):
            _clear_up(folder)
        raise InputError(
            f"'{folder}' holds a finished run; name another folder, or allow it to be replaced "
            "with `overwrite`"
        )
    # A run that was stopped while its results were put in place holds some of them.
    ours = overwrite or CHECKPOINT in found
    strange = found - _WORK - _LABELS - (_RESULTS if ours else frozenset())
    if strange:
        raise InputError(
            f"'{folder}' holds '{min(strange)}', which is no part of an interrupted run; "
            "name a new or empty folder"
        )


def _clear_up(folder: Path) -> None:
    """Deletes what a run left that was killed when its results were in place already."""
    with suppress(InputError, OSError), only_writer(folder):
        remove_abandoned(folder)
        for name in SCRATCH:
            remove(folder / name)


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
