"""A finished run, read back from its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.data.json_files import read_json
from anomalyncd.data.manifest import is_own_column
from anomalyncd.data.masks import read_mask
from anomalyncd.errors import InputError

RECORD = "run.json"
"""Written last: a folder that holds it is a finished run."""
FORMAT = 1
"""Of run folders; raised when an older reader would misread a newer run."""

_TEXT = ("name", "path", "class_name")
_MEANS = ("mean_area", "mean_score")
"""Blank for a class without a region."""
_NEEDED = {
    "images.csv": {
        "name",
        "path",
        "class",
        "class_name",
        "normal",
        "score",
        "n_regions",
        "height",
        "width",
    },
    "regions.csv": {"name", "class", "left", "top", "right", "bottom", "area", "score", "found"},
    "classes.csv": {"class", "class_name", "normal", "n_images", "n_regions"},
}


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """The tables and arrays of a run; see `Verdicts` for what each holds."""

    folder: Path
    """Where it lies."""
    images: pd.DataFrame
    """One row a part."""
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
    record: dict[str, Any]
    """`run.json`."""

    def mask(self, name: str) -> NDArray[np.bool_]:
        """What was taken for anomalous on a part, (h, w), at the size of its map.

        Raises:
            InputError: The file is missing or damaged.
        """
        return read_mask(self.folder / "masks" / f"{name}.png")


def read_run(folder: str | Path) -> FinishedRun:
    """Reads a finished run.

    Args:
        folder: What `discover` wrote.

    Raises:
        InputError: No finished run, one of a newer version, or a damaged one.
    """
    folder = Path(folder).expanduser()
    if not (folder / RECORD).is_file():
        raise InputError(
            f"'{folder}' holds no {RECORD}; give the folder of a run that was finished"
        )
    record = read_json(folder / RECORD, "run")
    if record.get("format", 0) != FORMAT:
        raise InputError(
            f"run '{folder}' was written by another version "
            f"({record.get('versions', {}).get('anomalyncd', 'unknown')}); make it again"
        )
    images, regions = read_table(folder, "images.csv"), read_table(folder, "regions.csv")
    features, counts = _array(folder / "features.npy"), _array(folder / "counts.npy")
    if len(features) != len(regions) or len(counts) != len(images):
        raise InputError(f"the files of run '{folder}' do not belong together; make it again")
    return FinishedRun(
        folder,
        images,
        regions,
        read_table(folder, "classes.csv"),
        features,
        counts,
        _array(folder / "normal_scores.npy"),
        record,
    )


def read_table(folder: str | Path, file: str = "images.csv") -> pd.DataFrame:
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
        head = pd.read_csv(path, nrows=0, encoding="utf-8").columns
        # A part may be called "001" or "NA", and so may a lot.
        text = {name: str for name in head if name in _TEXT or not is_own_column(name)}
        table = pd.read_csv(
            path,
            dtype=text,
            keep_default_na=False,
            na_values=dict.fromkeys(_MEANS, ""),
            encoding="utf-8",
        )
    except ValueError as error:
        raise InputError(f"'{path}' is damaged ({error}); make the run again") from error
    lost = _NEEDED[file] - set(table.columns)
    if lost:
        raise InputError(f"'{path}' lacks the column '{min(lost)}'; make the run again")
    return table


def _array(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"'{path}' is missing or damaged ({error}); make the run again") from error
    return array
