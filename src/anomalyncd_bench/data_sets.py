"""The data sets of a table: opened, checked and labelled."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import LEFT_OUT
from anomalyncd.evaluation.ground_truth import Truth, labels_from_table, states_from_labels
from anomalyncd.images.image_set import ImageSet, as_image_set
from anomalyncd.images.manifest import LABEL, MASK, Manifest
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.inputs.inputs import Inputs, check_inputs, open_masks
from anomalyncd.inputs.layouts import prepare, write_manifest
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.tables import is_table
from anomalyncd_bench.entries import SetEntry


@dataclass(frozen=True)
class Folders:
    """Where a benchmark reads and writes."""

    data: Path
    """Where the relative paths of a table begin."""
    out: Path
    """The plan and the results."""
    maps: Path
    """The built-in maps, in a folder for each set and source."""


@dataclass(frozen=True, eq=False)
class BenchSet:
    """One set of images with everything that is known of them."""

    entry: SetEntry
    all_images: ImageSet
    """All images of the set, also those that are dropped."""
    rows: NDArray[np.int64]
    """Indices of the images that take part, (N,)."""
    inputs: Inputs
    """Images, normal images and base set; no maps yet."""
    labels: NDArray[np.str_]
    """True class of each image, (N,)."""
    masks: Masks | None
    """True masks."""

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """Whether an image counts, (N,)."""
        ignored = () if self.entry.combined == "scored" else LEFT_OUT
        return ~np.isin(self.labels, [*ignored, ""])

    @cached_property
    def parts(self) -> NDArray[np.int64] | None:
        """For each image that counts the number of the part that it shows, (N,).

        None where every image shows a part of its own.
        """
        series = self.entry.series
        if series is None:
            return None
        names = pd.Series(self.inputs.images.names)[self.scored]
        photograph, order = (
            _numbers(names, pattern) for pattern in (series.photograph, series.order)
        )
        labels = self.labels[self.scored]
        taken = np.lexsort((order, labels))
        same = (labels[taken][1:] == labels[taken][:-1]) & (np.diff(photograph[taken]) > 0)
        parts = np.zeros(len(names), np.int64)
        parts[taken[1:]] = np.cumsum(~same)
        return parts

    @property
    def n_classes(self) -> int:
        """Number of true classes among the images that count."""
        return len(set(self.labels[self.scored]))

    def truth(self) -> Truth:
        """What maps are scored against."""
        images = self.inputs.images
        table = pd.DataFrame({"name": images.names, LABEL: self.labels})
        return Truth(self.inputs.sizes, states_from_labels(table), self.masks)


def open_set(
    entry: SetEntry, folders: Folders, base: BaseSet | None, with_normals: bool
) -> BenchSet:
    """Opens a set, its labels and masks; every image is decoded once.

    Args:
        entry: The set.
        folders: Where it is, and where the manifests of layouts are written.
        base: Labelled defects of other products.
        with_normals: Whether normal images are needed.

    Raises:
        InputError: The set cannot be used.
    """
    source = _source(entry, folders)
    images = as_image_set(source)
    labels = _labels(images, entry)
    dropped = LEFT_OUT if entry.combined == "dropped" else ()
    rows = np.flatnonzero(~np.isin(labels, dropped))
    masks = _masks(source, images)
    # Without the columns, or the maps that a manifest names would be used for all sources.
    chosen = replace(images.select(rows), columns=None)
    chosen_masks = masks and Masks(chosen, tuple(masks.sources[index] for index in rows))
    normals = _normals(source, entry) if with_normals else None
    inputs = check_inputs(chosen, base=base, normals=normals)
    opened = BenchSet(entry, images, rows, inputs, labels[rows], chosen_masks)
    if opened.n_classes < 2:
        raise InputError(f"set '{entry.name}' has fewer than two classes that count; check labels")
    return opened


def _source(entry: SetEntry, folders: Folders) -> Path:
    """The folder or the manifest of the images."""
    folder = folders.data / Path(entry.folder).expanduser()
    if entry.layout is None:
        return folder / entry.category if entry.category else folder
    manifest = folders.out / "work" / "manifests" / f"{entry.name}.csv"
    write_manifest(prepare(entry.layout, folder, entry.category), manifest)
    return manifest


def _numbers(names: "pd.Series[str]", pattern: str) -> NDArray[np.int64]:
    """The number that a pattern finds in each name."""
    found = names.str.extract(pattern, expand=False)
    numbers = pd.to_numeric(found, errors="coerce")
    if numbers.isna().any():
        name = names[numbers.isna()].iloc[0]
        raise InputError(f"series: '{pattern}' finds no number in '{name}'; change the pattern")
    return np.asarray(numbers, np.int64)


def _labels(images: ImageSet, entry: SetEntry) -> NDArray[np.str_]:
    table = pd.DataFrame({"name": images.names})
    if images.columns is not None and LABEL in images.columns:
        table[LABEL] = images.columns[LABEL]
    try:
        return np.array(labels_from_table(table))
    except InputError as error:
        raise InputError(f"set '{entry.name}' cannot be scored: {error}") from error


def _masks(source: Path, images: ImageSet) -> Masks | None:
    if is_table(source):
        return Masks.from_manifest(source, images) if MASK in Manifest.read(source).table else None
    truth = source / "ground_truth"
    return open_masks(truth, images) if truth.is_dir() else None


def _normals(source: Path, entry: SetEntry) -> ImageSet:
    """The normal images: rows with split `train`, or the folder `train/`."""
    if is_table(source):
        return replace(ImageSet.from_manifest(source, "train"), columns=None)
    folder = source / "train"
    if not folder.is_dir():
        raise InputError(
            f"set '{entry.name}' has no normal images; expected them in '{folder}', or omit the "
            "map sources with normal images"
        )
    inner = [one for one in sorted(folder.iterdir()) if one.is_dir()]
    return ImageSet.from_folder(inner[0] if len(inner) == 1 else folder)
