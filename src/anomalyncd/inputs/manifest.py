"""A manifest: a table that names the images and holds what is known of each."""

import os
import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_files import IMAGE_SUFFIXES
from anomalyncd.io.columns import is_result_column
from anomalyncd.io.files import and_more, name_of, shared_folder
from anomalyncd.io.tables import read_table

Split: TypeAlias = Literal["test", "train"]

MAP, MASK, LABEL, SPLIT = "anomaly_map", "mask", "label", "split"
"""Columns with a meaning: path of the anomaly map, path of the mask, true class, split."""

_IMAGE = "image"


@dataclass(frozen=True, eq=False)
class Manifest:
    """The rows of a manifest, one for each image; all files named exist, none has been opened."""

    path: Path
    """The file."""
    root: Path
    """The folder to which the names are relative."""
    names: tuple[str, ...]
    """For each image its relative POSIX path without suffix."""
    images: tuple[Path, ...]
    """The images."""
    table: pd.DataFrame
    """All other columns, text; paths of maps and masks are absolute, a blank cell is ""."""

    @classmethod
    def read(cls, path: str | Path) -> "Manifest":
        """Reads a manifest.

        Args:
            path: See `read_table`. Column `image` holds paths, absolute or relative to the folder
                of the manifest; `anomaly_map` and `mask` as well, where there are such columns.

        Returns:
            All rows. Names are relative to the manifest's folder, or to the folder that all images
            share where some lie outside.

        Raises:
            InputError: The table cannot be read, lacks `image`, names a file that does not exist or
                an image twice, or has a column that the results have as well.
        """
        source = Path(path).expanduser()
        table = read_table(source, "manifest")
        label = f"manifest '{source}'"
        _refuse_columns(list(table.columns), label)
        # No "..", since names are made of the paths; links keep their own names.
        folder = Path(os.path.abspath(source.parent))  # noqa: PTH100
        for column in {_IMAGE, MAP, MASK} & set(table.columns):
            _refuse_places_elsewhere(table[column], column, label)
            table[column] = [_located(cell, folder) for cell in table[column]]
            _refuse_missing(table[column], column, label)
        _refuse_doubled(table[_IMAGE], label)
        images = tuple(Path(cell) for cell in table.pop(_IMAGE))
        inside = all(image.is_relative_to(folder) for image in images)
        root = folder if inside else shared_folder(images)
        names = tuple(name_of(image.relative_to(root), IMAGE_SUFFIXES) for image in images)
        return cls(source, root, names, images, table)

    def of_split(self, split: Split) -> "Manifest":
        """Returns the rows of one split.

        Args:
            split: "test" for the images, "train" for the normal images. Without a column `split`
                all rows are returned, and likewise for "test" if no row is marked so.

        Raises:
            InputError: There is a column `split`, and no row in it is marked "train".
        """
        if SPLIT not in self.table:
            return self
        in_split = self.table[SPLIT].str.strip().str.casefold() == split
        if not in_split.any():
            if split == "test":
                return self
            raise InputError(
                f"manifest '{self.path}' has no row with '{split}' in the column '{SPLIT}'; "
                "mark the normal images with it"
            )
        chosen = np.flatnonzero(in_split)
        return Manifest(
            self.path,
            self.root,
            tuple(self.names[index] for index in chosen),
            tuple(self.images[index] for index in chosen),
            self.table.iloc[chosen].reset_index(drop=True),
        )

    def files(self, column: str) -> tuple[Path | None, ...]:
        """Returns the files that a column names; None where its cell is blank.

        Raises:
            InputError: No such column.
        """
        if column not in self.table:
            raise InputError(f"manifest '{self.path}' has no column '{column}'; add it")
        return tuple(Path(cell) if cell else None for cell in self.table[column])


def _refuse_columns(columns: list[str], label: str) -> None:
    if _IMAGE not in columns:
        near = get_close_matches(_IMAGE, [name.casefold() for name in columns], n=1)
        hint = next(
            (f" '{name}'" for name in columns if name.casefold() in near),
            " the column of the images",
        )
        raise InputError(
            f"{label} has no column '{_IMAGE}' but {', '.join(columns)}; rename{hint}, "
            f"or add '{_IMAGE}' with the path of each image"
        )
    reserved = [name for name in columns if is_result_column(name)]
    if reserved:
        raise InputError(
            f"{label} has a column '{reserved[0]}'{and_more(len(reserved))}, which the results have"
            f" as well; rename it, for instance 'my_{reserved[0]}'"
        )


def _located(cell: str, folder: Path) -> str:
    # Manifests written on Windows have backslashes.
    text = cell.strip().replace("\\", "/")
    if not text:
        return ""
    path = os.path.abspath(folder / text)  # noqa: PTH100
    # The same letters may be composed on the disk and decomposed in the table, or the reverse.
    forms = (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
    return next((form for form in forms if os.path.exists(form)), path)  # noqa: PTH110


def _refuse_places_elsewhere(cells: pd.Series, column: str, label: str) -> None:
    """Raises for places on the internet, and for drives of Windows where there are none."""
    elsewhere = r"\w{2,}://" if os.name == "nt" else r"[A-Za-z]:[\\/]|\\\\|\w{2,}://"
    strange = [cell for cell in cells if re.match(elsewhere, cell.strip())]
    if strange:
        raise InputError(
            f"{column} '{strange[0]}'{and_more(len(strange))} in {label} is no path of this "
            "system; give paths relative to the folder of the manifest"
        )


def _refuse_missing(paths: pd.Series, column: str, label: str) -> None:
    lacking = [path for path in paths if path and not Path(path).is_file()]
    if lacking:
        raise InputError(
            f"{column} '{lacking[0]}'{and_more(len(lacking))} in {label} does not exist; "
            "check the paths, which are relative to the folder of the manifest"
        )
    if column == _IMAGE and (paths == "").any():
        row = int(np.flatnonzero(paths == "")[0]) + 1
        raise InputError(f"{label} names no image in row {row}; fill it in or remove the row")


def _refuse_doubled(images: pd.Series, label: str) -> None:
    doubled = images[images.duplicated()]
    if len(doubled):
        raise InputError(
            f"{label} names the image '{doubled.iloc[0]}'{and_more(len(doubled))} twice; "
            "keep one row for each"
        )
