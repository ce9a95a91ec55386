"""The true class of each image, for scoring alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import AnomalyMaps, as_maps
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import (
    MasksLike,
    open_masks,
    open_places,
)
from anomalyncd.inputs.manifest import (
    LABEL,
    MAP,
    MASK,
    Manifest,
)
from anomalyncd.inputs.masks import Masks
from anomalyncd.inputs.pairing import refuse_other_aspect
from anomalyncd.io.tables import is_table
from anomalyncd.results.run_folder import Run

NORMAL_LABELS = ("good", "normal", "ok", "mt_free")
"""How data sets call their normal class, in lower case."""


def labels_from_names(names: Sequence[str] | pd.Series) -> tuple[str, ...]:
    """Takes the class of each part from the folder it lies in.

    The class is the first folder of a name, as in a base set, so that what lies deeper (a camera,
    a date) does not split it: "scratch/000" and "scratch/monday/000" are both "scratch".

    Args:
        names: Relative POSIX paths without suffix, see `ImageSet.names`.

    Returns:
        One class name a image, in order.

    Raises:
        InputError: No names, a image outside any folder, or all images in one folder.
    """
    if len(names) == 0:  # a data frame's column has no truth value
        raise InputError("there are no images to score; give at least two, of two classes")
    for name in names:
        if "/" not in name:
            raise InputError(
                f"image '{name}' has no class; expected it in a folder named after its class, "
                f"'CLASS/{name}'"
            )
    labels = tuple(name.split("/", 1)[0] for name in names)
    if len(set(labels)) == 1:
        raise InputError(
            f"all {len(labels)} images lie in the folder '{labels[0]}'; "
            "to be scored they must lie in one folder a class, directly below the folder of images"
        )
    return labels


def labels_from_table(images: pd.DataFrame) -> tuple[str, ...]:
    """Takes the class of each part from the column `label`, or from the folder it lies in.

    Args:
        images: A table of images, see `Predictions.images`; a manifest may have brought the labels.

    Returns:
        One class name a image, in order; "" for a image that nobody has labelled.

    Raises:
        InputError: There is no such column, and the folders tell no classes.
    """
    if LABEL in images:
        return tuple(images[LABEL].str.strip())
    return labels_from_names(images["name"])


def states_from_labels(
    images: pd.DataFrame, normal: Collection[str] = NORMAL_LABELS
) -> NDArray[np.int64] | None:
    """What labels say of each image: whether it is defective.

    Args:
        images: A table of images, see `labels_from_table`.
        normal: Names of the normal class, in lower case.

    Returns:
        (N,): 1 where the label names a defect, 0 where it says normal, -1 where there is none; None
        where no label says normal.
    """
    try:
        labels = np.array([label.lower() for label in labels_from_table(images)])
    except InputError:
        return None
    sound = np.isin(labels, list(normal))
    return np.where(labels == "", -1, np.where(sound, 0, 1)) if sound.any() else None


_TRUTH = "ground_truth"


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of the parts of a run, whatever the run made of them."""

    sizes: NDArray[np.int64]
    """Height and width of each image, (N, 2), px."""
    told: NDArray[np.int64] | None
    """(N,): 1 where the label names a defect, 0 where it says normal, -1 where there is none; None
    where no label says normal."""
    masks: Masks | None
    """True masks; None where they are not known."""

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """The true mask of a image, (H, W); None where it is not known where its defects lie.

        Raises:
            InputError: The mask cannot be read, or has another aspect ratio than its image.
        """
        if self.masks is None:
            return None
        if self.masks.sources[index] is None:  # Its image need not be opened.
            mask = np.zeros(self.sizes[index], np.bool_)
        else:
            mask = self.masks[index]
            refuse_other_aspect(mask.shape, self.masks.images.names[index], self.sizes[index])
        unmarked = self.told is not None and self.told[index] != 0 and not mask.any()
        return None if unmarked else mask

    def states(self, marked: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which parts are defective, and of which it is known.

        Args:
            marked: (N,), whether a image's mask marks anything.
        """
        if self.told is None:
            return marked, np.ones(len(marked), np.bool_)
        return marked | (self.told == 1), marked | (self.told >= 0)


def truth_of_run(run: Run, masks: MasksLike | None = None) -> Truth | None:
    """Gathers what is known: masks, and labels of which one is called normal.

    Args:
        run: A finished run.
        masks: True masks; by default the column `mask` of the manifest of the images, or
            `ground_truth/` beside their folder `test/`, where there is one.

    Returns:
        None where neither is known.

    Raises:
        InputError: The masks do not fit the images.
    """
    images = parts_of_run(run)
    given = _masks_beside(run) if masks is None else masks
    opened = None if given is None else open_masks(given, images)
    told = states_from_labels(run.images)
    if opened is None and told is None:
        return None
    ignored = ignored_in_run(run, images)
    if opened is not None and ignored is not None:
        opened = Masks(images, opened.sources, ignored)
    return Truth(run.images[["height", "width"]].to_numpy(np.int64), told, opened)


def parts_of_run(run: Run) -> ImageSet:
    """The parts of a run, as its table names them."""
    sources = tuple(Path(path) for path in run.images["path"])
    return ImageSet(tuple(run.images["name"]), sources, _root(run))


def maps_of_run(run: Run) -> AnomalyMaps | None:
    """The maps that a run used: those given, those its manifest names, or those it made.

    Returns:
        None where they are not to be found any more.
    """
    images = parts_of_run(run)
    ignored = ignored_in_run(run, images)
    maps = _maps(run, images)
    return None if maps is None else AnomalyMaps(maps.names, maps.sources, ignored)


def ignored_in_run(run: Run, images: ImageSet) -> Masks | None:
    """Where nothing counted.

    Raises:
        InputError: What was given then is not there any more.
    """
    ignore = run.record["inputs"].get("ignore")
    return None if ignore is None else open_places(ignore, images)


def _maps(run: Run, images: ImageSet) -> AnomalyMaps | None:
    inputs = run.record["inputs"]
    source, made = inputs.get("images"), run.folder / "maps"
    try:
        if "maps" in inputs:
            return as_maps(inputs["maps"], images)
        if is_table(source):
            named = ImageSet.from_manifest(source)
            if named.names == images.names and named.columns is not None and MAP in named.columns:
                return AnomalyMaps.from_manifest(named)
    except InputError:
        return None
    paths = tuple(made / f"{name}.npy" for name in images.names)
    return AnomalyMaps(images.names, paths) if all(path.is_file() for path in paths) else None


def _masks_beside(run: Run) -> Path | None:
    source, root = run.record["inputs"].get("images"), _root(run)
    if is_table(source) and Path(source).expanduser().is_file():
        path = Path(source).expanduser()
        return path if MASK in Manifest.read(path).table else None
    if root is None:
        return None
    truth = (root.parent if root.name == "test" else root) / _TRUTH
    return truth if truth.is_dir() else None


def _root(run: Run) -> Path | None:
    """The folder of the images, where the run was given one that is still there."""
    source = run.record["inputs"].get("images")
    folder = Path(source).expanduser() if source else None
    if folder is None or not folder.is_dir():
        return None
    return folder / "test" if (folder / "test").is_dir() else folder
