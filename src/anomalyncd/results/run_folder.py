"""A finished run, read back from its folder."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.errors import InputError
from anomalyncd.foreground.masks import FOLDER as FOREGROUND
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.mask_files import read_mask
from anomalyncd.io.arrays import load_numbers
from anomalyncd.io.columns import DTYPE_KINDS, Table, find_column, required_columns
from anomalyncd.io.json_files import read_json
from anomalyncd.io.tables import ENCODING, unguarded
from anomalyncd.labels.book import FILE as LABELS
from anomalyncd.labels.book import LabelBook
from anomalyncd.labels.state import NORMAL, class_names
from anomalyncd.results.replacement import PENDING, finish_replacement

RECORD = "run.json"
"""Written last: a folder that holds it is a finished run."""
FORMAT = 1
"""Of run folders; raised when an older reader would misread a newer run."""


@dataclass(frozen=True, eq=False)
class Run:
    """The tables and arrays of a run; see `Predictions` for what each holds."""

    folder: Path
    """Where it lies."""
    images: pd.DataFrame
    """One row an image."""
    regions: pd.DataFrame
    """One row a region."""
    classes: pd.DataFrame
    """One row a class."""
    features: NDArray[np.float32]
    """(R, D): descriptors."""
    counts: NDArray[np.int64]
    """(N, n_thresholds): MEBin's region counts; (N, 0) where masks were given."""
    normal_scores: NDArray[np.float32]
    """(M,): scores of the normal images, on the scale of `images.score`; M = 0 without any."""
    attention: NDArray[np.float16] | None
    """(R, 2, rows, columns): where the CLS token looks, without and with guidance; None where it is
    not guided."""
    record: dict[str, Any]
    """`run.json`."""

    @property
    def class_number(self) -> ClassNumber | None:
        """How the number of classes was estimated; None where it was given."""
        counted = self.record.get("class_number")
        return ClassNumber.from_record(counted) if counted else None

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Class probabilities of the discovery, (R, K), before any correction.

        Raises:
            InputError: The file is missing or damaged.
        """
        probabilities: NDArray[np.float32] = _array(self.folder / "probabilities.npy", 2)
        if len(probabilities) != len(self.regions):
            raise InputError(
                f"'{self.folder / 'probabilities.npy'}' belongs to another run; make it again"
            )
        return probabilities

    @property
    def n_discovered(self) -> int:
        """How many of the regions were there to the discovery; the others were added since."""
        return int(self.record.get("n_discovered", len(self.regions)))

    @property
    def class_names(self) -> dict[int, str]:
        """Names of the classes by their ids."""
        return dict(zip(self.classes["class"], self.classes["class_name"], strict=True))

    @property
    def labels(self) -> LabelBook:
        """What a person says about the classes and regions; the file is made where it is missing.

        Raises:
            InputError: The file cannot be used.
        """
        discovered = self.probabilities.argmax(1)
        names = class_names(self.probabilities.shape[1])
        return LabelBook(self.folder / LABELS, self.regions, discovered, names)

    @property
    def has_labels(self) -> bool:
        """Whether a person said something about this run."""
        return (self.folder / LABELS).is_file()

    def with_images(self, images: ImageSet) -> "Run":
        """Returns the run with the paths of images that were moved; they are found by name.

        Raises:
            InputError: None of them is an image of the run.
        """
        paths = dict(zip(images.names, images.paths, strict=True))
        if not self.images["name"].isin(paths.keys()).any():
            raise InputError(
                f"none of the images given is one of run '{self.folder}': one given is called "
                f"'{images.names[0]}', one of the run '{self.images['name'].iloc[0]}'; give the "
                "same folder as for the run, where it is now"
            )

        def moved(table: pd.DataFrame) -> pd.DataFrame:
            return table.assign(path=table["name"].map(paths).fillna(table["path"]))

        return replace(self, images=moved(self.images), regions=moved(self.regions))

    def refuse_lost_images(self) -> None:
        """Raises if most of the image files are not where they were; images in memory have none.

        Raises:
            InputError: Names the first one and the remedy.
        """
        files = self.images["path"][self.images["path"] != self.images["name"]]
        lost = [path for path in files if not Path(path).is_file()]
        if 2 * len(lost) > len(files):
            raise InputError(
                f"{len(lost)} of {len(files)} images of run '{self.folder}' are gone, such as "
                f"'{lost[0]}'; give `images`, the folder where they are now"
            )

    def mask(self, name: str) -> NDArray[np.bool_]:
        """What was taken for anomalous on an image, (h, w), at the size of its map.

        Raises:
            InputError: The file is missing or damaged.
        """
        return read_mask(self.folder / "masks" / f"{name}.png")

    def foreground_mask(self, name: str) -> NDArray[np.bool_]:
        """What was taken for the product on an image, (h, w), with the area of 512 x 512 pixels.

        Raises:
            InputError: The file is missing or damaged, or whole pictures were taken for product.
        """
        return read_mask(self.folder / FOREGROUND / f"{name}.png")


def read_run(folder: str | Path) -> Run:
    """Reads a finished run.

    Args:
        folder: What `discover` wrote.

    Raises:
        InputError: No finished run, one of a newer version, or a damaged one.
    """
    folder = Path(folder).expanduser()
    while True:
        finish_replacement(folder)
        version = _version(folder)
        try:
            run = _read(folder)
        except InputError:
            if _version(folder) == version:
                raise
        else:
            if _version(folder) == version:
                return run


def _version(folder: Path) -> tuple[int, int, bool]:
    """Another one as soon as another program replaces the files of a run."""
    try:
        found = (folder / RECORD).stat()
    except OSError:
        return 0, 0, False
    return found.st_ino, found.st_mtime_ns, (folder / PENDING).is_dir()


def _read(folder: Path) -> Run:
    if not (folder / RECORD).is_file():
        raise InputError(f"'{folder}' holds no {RECORD}; give the folder of a finished run")
    run = Run(
        folder,
        read_table(folder, "images.csv"),
        read_table(folder, "regions.csv"),
        read_table(folder, "classes.csv"),
        _array(folder / "features.npy", 2),
        _array(folder / "counts.npy", 2),
        _array(folder / "normal_scores.npy", 1),
        _array(folder / "attention.npy", 4) if (folder / "attention.npy").is_file() else None,
        _record(folder),
    )
    if not _belongs_together(run):
        raise InputError(f"the files of run '{folder}' do not belong together; make it again")
    return run


def _record(folder: Path) -> dict[str, Any]:
    record = read_json(folder / RECORD, "run")
    versions = record.get("versions")
    known = isinstance(versions, dict) and "anomalyncd" in versions
    if record.get("format", 0) != FORMAT:
        version = versions["anomalyncd"] if isinstance(versions, dict) and known else "unknown"
        raise InputError(
            f"run '{folder}' was written by another version ({version}); make it again"
        )
    try:
        numbers = [record["config"]["mebin"]["min_interval_length"]]
        views = record["config"]["crops"]
        numbers += [views["load_size"], views["size"]]
        factor = record.get("guidance_factor") or {"before": {}}
        for kind in factor["before"]:
            numbers += [factor["before"][kind], factor["after"][kind]]
        for stage in record["stages"].values():
            numbers += [stage["seconds"], stage["peak_memory_mb"]]
        whole = known and all(type(one) in (int, float) for one in numbers)
        whole = whole and 0 < views["size"] <= views["load_size"]
        whole = whole and "rules" in record["config"]["regions"]
        if record.get("class_number"):
            ClassNumber.from_record(record["class_number"])
        whole = whole and all(isinstance(one, str) for one in record["inputs"].values())
    except (KeyError, TypeError, AttributeError, ValueError):
        whole = False
    if not whole:
        raise InputError(
            f"run file '{folder / RECORD}' is damaged (something is missing or of another kind); "
            "make the run again"
        )
    return record


def _belongs_together(run: Run) -> bool:
    """Whether rows, images and classes of the files are the same."""
    classes = run.classes["class"]
    chances = {f"p_{index}" for index in classes}
    return (
        len(run.features) == len(run.regions)
        and len(run.counts) == len(run.images)
        and (run.attention is None or run.attention.shape[:2] == (len(run.regions), 2))
        and classes.is_unique
        and classes.iloc[0] == NORMAL
        and bool(
            run.images["class"].isin(classes).all() and run.regions["class"].isin(classes).all()
        )
        and bool(run.regions["name"].isin(run.images["name"]).all())
        and chances <= {*run.regions.columns}
    )


def read_table(folder: str | Path, file: Table = "images.csv") -> pd.DataFrame:
    """A table of a run or a prediction, as it was written.

    Args:
        folder: Of the run or the prediction.
        file: `images.csv`, `regions.csv` or `classes.csv`.

    Raises:
        InputError: The folder holds no such table, or a damaged one.
    """
    path = Path(folder).expanduser() / file
    if not path.is_file():
        raise InputError(f"'{folder}' holds no {file}; give the folder of a finished run")
    try:
        head = pd.read_csv(path, nrows=0, encoding=ENCODING).columns
        # An image may be called "001" or "NA", and so may a lot.
        known = {name: find_column(name) for name in head}
        text = {name: str for name, column in known.items() if not column or column.kind == "text"}
        blank = {name: "" for name, column in known.items() if column and column.may_be_blank}
        table = pd.read_csv(
            path,
            dtype=text,
            keep_default_na=False,
            na_values=blank,
            encoding=ENCODING,
        )
    except ValueError as error:
        raise InputError(f"'{path}' is damaged ({error}); make the run again") from error
    for name in text:
        table[name] = table[name].map(unguarded)
    table.columns = table.columns.map(unguarded)
    lost = required_columns(file) - set(table.columns)
    if lost:
        raise InputError(f"'{path}' lacks the column '{min(lost)}'; make the run again")
    _refuse_odd_cells(table, path)
    return table


def _refuse_odd_cells(table: pd.DataFrame, path: Path) -> None:
    """Raises unless every column holds what it should, and every image has one row."""
    for name in table.columns:
        column = find_column(str(name))
        if column is None or column.kind == "text":
            continue
        values = table[name]
        kinds = DTYPE_KINDS[column.kind]
        blank = not column.may_be_blank and not values.notna().all()
        if values.dtype.kind not in kinds or blank or np.isinf(values.to_numpy(np.float64)).any():
            raise InputError(
                f"'{path}' is damaged (column '{name}' has cells that are not "
                f"{'True and False' if column.kind == 'flag' else 'numbers'}); make the run again"
            )
    if "name" in table and table["name"].map(_leaves_folder).any():
        raise InputError(
            f"'{path}' is damaged (an image has a name that leads out of a folder); make the run "
            "again"
        )
    if path.name == "images.csv" and table["name"].duplicated().any():
        doubled = table["name"][table["name"].duplicated()].iloc[0]
        raise InputError(f"'{path}' is damaged (image '{doubled}' twice); make the run again")
    if table.empty and path.name != "regions.csv":
        raise InputError(f"'{path}' holds no rows; make the run again")


def _leaves_folder(name: str) -> bool:
    """Whether a file with this name could lie outside the folder that it is put into."""
    path = PureWindowsPath(name)  # It takes both kinds of slashes, and drives.
    return ".." in path.parts or bool(path.anchor)


def _array(path: Path, n_dimensions: int) -> NDArray[Any]:
    try:
        array = load_numbers(path, "array")
    except InputError as error:
        raise InputError(f"'{path}' is missing or damaged; make the run again") from error
    if array.ndim != n_dimensions or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(f"'{path}' is damaged (another shape or kind); make the run again")
    return array
