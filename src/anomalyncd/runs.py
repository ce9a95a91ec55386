"""A run on disk: tables, arrays, masks, maps, the model, and how all of it came about."""

import platform
import shutil
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.data.inputs import PartsLike
from anomalyncd.data.json_files import write_json
from anomalyncd.data.manifest import is_own_column
from anomalyncd.discovery import AnomalyNCD
from anomalyncd.errors import InputError
from anomalyncd.result import Verdicts
from anomalyncd.settings import resolve_settings

RECORD = "run.json"
"""Written last: a folder that holds it is a finished run."""

_TEXT = frozenset({"name", "path", "class_name"})
_WORK = frozenset({"maps", "normals", "tokens.bin"})
_RESULTS = frozenset(
    {"images.csv", "regions.csv", "classes.csv", "features.npy", "probabilities.npy"}
    | {"masks", "model", "predictions", RECORD}
)


def discover_run(
    estimator: AnomalyNCD,
    parts: PartsLike,
    folder: str | Path,
    *,
    overwrite: bool = False,
    **inputs: Any,
) -> None:
    """Discovers classes and writes the run; after an interruption the same call goes on.

    Args:
        estimator: Not fitted yet.
        parts: As for `AnomalyNCD.fit`.
        folder: A new or empty folder, or that of an interrupted run.
        overwrite: Whether a finished run may be there; it stays until the new one is complete.
        inputs: Further arguments of `AnomalyNCD.fit`.

    Raises:
        InputError: The folder or an input cannot be used; nothing long has started then.
    """
    folder = Path(folder).expanduser()
    refuse_folder_within(folder, parts)
    _refuse_other_content(folder, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    estimator.fit(parts, folder=folder, **inputs)
    write_run(estimator, folder)


def write_run(estimator: AnomalyNCD, folder: str | Path) -> None:
    """Writes a fitted estimator's tables, arrays, masks, model and `run.json` into a folder.

    Args:
        estimator: Fitted here, not loaded.
        folder: Made where it is missing; an earlier run in it is replaced once all is written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".results-") as workshop:
        new = Path(workshop)
        _write_tables(estimator.verdicts_, new)
        estimator.verdicts_.classes.to_csv(new / "classes.csv", index=False, lineterminator="\n")
        _write_array(new / "features.npy", estimator.verdicts_.features)
        _write_array(new / "probabilities.npy", estimator.verdicts_.probabilities)
        estimator.save(new / "model")
        write_json(new / RECORD, _record(estimator))
        (folder / RECORD).unlink(missing_ok=True)
        for name in [*sorted(_RESULTS - {RECORD}), RECORD]:
            _move(new / name, folder / name)
    (folder / "tokens.bin").unlink(missing_ok=True)


def write_prediction(verdicts: Verdicts, folder: str | Path) -> None:
    """Writes `images.csv`, `regions.csv` and masks of new parts; replaces those that are there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".results-") as workshop:
        _write_tables(verdicts, Path(workshop))
        for name in ("regions.csv", "masks", "images.csv"):
            _move(Path(workshop) / name, folder / name)


def read_images(folder: str | Path) -> pd.DataFrame:
    """The table of parts of a run or a prediction, as it was written.

    Raises:
        InputError: The folder holds no such table, or a damaged one.
    """
    path = Path(folder).expanduser() / "images.csv"
    if not path.is_file():
        raise InputError(f"'{folder}' holds no images.csv; give the folder of a finished run")
    try:
        head = pd.read_csv(path, nrows=0, encoding="utf-8").columns
        # A part may be called "001" or "NA", and so may a lot.
        text = {name: str for name in head if name in _TEXT or not is_own_column(name)}
        table = pd.read_csv(path, dtype=text, keep_default_na=False, encoding="utf-8")
    except ValueError as error:
        raise InputError(f"'{path}' is damaged ({error}); make the run again") from error
    lost = {*_TEXT, "class"} - set(table.columns)
    if lost:
        raise InputError(f"'{path}' lacks the column '{min(lost)}'; make the run again")
    return table


def refuse_folder_within(folder: Path, parts: PartsLike) -> None:
    """Raises if results would lie among the parts, where masks would count as images.

    Raises:
        InputError: The folder lies within the folder of parts.
    """
    if not isinstance(parts, str | Path):
        return
    source = Path(parts).expanduser().resolve()
    if source.is_dir() and (source in folder.resolve().parents or source == folder.resolve()):
        raise InputError(
            f"the results '{folder}' would lie among the parts '{parts}' and be taken for parts; "
            "name a folder elsewhere (on the command line --out)"
        )


def _refuse_other_content(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder}' is a file; name a folder for the run")
    if not folder.exists():
        return
    found = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
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


def _write_tables(verdicts: Verdicts, folder: Path) -> None:
    verdicts.images.to_csv(folder / "images.csv", index=False, lineterminator="\n")
    verdicts.regions.to_csv(folder / "regions.csv", index=False, lineterminator="\n")
    verdicts.masks.save(folder / "masks", list(verdicts.images["name"]))


def _write_array(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _move(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    if source.exists():
        source.replace(target)


def _record(estimator: AnomalyNCD) -> dict[str, Any]:
    packages = ("anomalyncd", "torch", "numpy")
    stages = estimator.stages_
    return {
        "parameters": estimator.get_params() | {"preset": _preset_name(estimator)},
        "settings": asdict(resolve_settings(estimator.preset)),
        "n_parts": len(estimator.verdicts_.images),
        "n_regions": len(estimator.verdicts_.regions),
        "stages": {
            name: {"seconds": seconds, "peak_memory_mb": stages.peak_memory_mb[name]}
            for name, seconds in stages.seconds.items()
        },
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
        "platform": platform.platform(),
    }


def _preset_name(estimator: AnomalyNCD) -> str | None:
    return estimator.preset if isinstance(estimator.preset, str) else None
