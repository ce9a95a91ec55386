"""The true classes and the true masks of images, for evaluation only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.manifest import LABEL, MAP, MASK, Manifest
from anomalyncd.inputs.anomaly_maps import AnomalyMaps, as_maps
from anomalyncd.inputs.inputs import MasksLike, open_masks, open_places
from anomalyncd.inputs.masks import Masks
from anomalyncd.inputs.orientation import Marks, turned_along
from anomalyncd.inputs.pairing import refuse_other_aspect
from anomalyncd.io.decoding import orientation_of
from anomalyncd.io.tables import is_table
from anomalyncd.results.run_folder import Run

NORMAL_LABELS = ("good", "normal", "ok", "mt_free")
"""Names of the normal class in public data sets, in lower case."""

_GROUND_TRUTH = "ground_truth"


def labels_from_names(names: Sequence[str] | pd.Series) -> tuple[str, ...]:
    """Takes the class of each image from the folder that holds it.

    The class is the first folder of a name, as in a base set, so that deeper folders (a camera, a
    date) do not divide it: "scratch/000" and "scratch/monday/000" are both "scratch".

    Args:
        names: Relative POSIX paths without suffix, see `ImageSet.names`.

    Returns:
        One class name for each image.

    Raises:
        InputError: There are no names, an image is in no folder, or all images are in one folder.
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
            f"all {len(labels)} images are in the folder '{labels[0]}'; "
            "to be scored they must be in one folder for each class, directly below the folder of "
            "images"
        )
    return labels


def labels_from_table(images: pd.DataFrame) -> tuple[str, ...]:
    """Takes the class of each image from the column `label`, or from the folder that holds it.

    Args:
        images: A table of images, see `Predictions.images`; its labels come from a manifest.

    Returns:
        One class name for each image; "" for an image without a label.

    Raises:
        InputError: There is no such column, and the folders name no classes.
    """
    if LABEL in images:
        return tuple(images[LABEL].str.strip())
    return labels_from_names(images["name"])


def with_labels_of(masks: MasksLike, images: pd.DataFrame) -> pd.DataFrame:
    """Returns a table of images with the classes of annotations as labels, if it has none.

    Args:
        masks: True masks; only annotations name classes.
        images: A table of images, see `Predictions.images`.

    Raises:
        InputError: The masks do not fit the images.
    """
    if LABEL in images:
        return images
    opened = open_masks(masks, ImageSet(tuple(images["name"]), tuple(map(Path, images["path"]))))
    return images if opened.labels is None else images.assign(**{LABEL: opened.labels})


def states_from_labels(
    images: pd.DataFrame, normal: Collection[str] = NORMAL_LABELS
) -> NDArray[np.int64] | None:
    """Finds out from labels which images are defective.

    Args:
        images: A table of images, see `labels_from_table`.
        normal: Names of the normal class, in lower case.

    Returns:
        (N,): 1 for a label of a defect, 0 for a label of the normal class, -1 without a label.
        None where no image has a label of the normal class.
    """
    try:
        labels = np.array([label.lower() for label in labels_from_table(images)])
    except InputError:
        return None
    is_normal = np.isin(labels, list(normal))
    return np.where(labels == "", -1, np.where(is_normal, 0, 1)) if is_normal.any() else None


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of N images, independently of any prediction."""

    sizes: NDArray[np.int64]
    """Height and width of each image, (N, 2), px."""
    states: NDArray[np.int64] | None
    """See `states_from_labels`."""
    masks: Masks | None
    """True masks; None where they are not known."""

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Reads the true mask of an image, (H, W).

        Returns:
            None without masks, and for an image whose mask is empty although its label does not
            name the normal class: where its defects are is not known.

        Raises:
            InputError: The mask cannot be read, or has another aspect ratio than its image.
        """
        if self.masks is None:
            return None
        if self.masks.sources[index] is None:  # The image need not be opened for its size.
            mask = np.zeros(self.sizes[index], np.bool_)
        else:
            mask = self.masks[index]
            refuse_other_aspect(mask.shape, self.masks.images.names[index], self.sizes[index])
        return mask if self.is_known(index, bool(mask.any())) else None

    def kinds(self, index: int) -> dict[str, NDArray[np.bool_]] | None:
        """Reads the true mask of each kind of defect on an image, (H, W), see `Masks.by_kind`.

        Returns:
            None where the mask names no kinds; empty where it marks nothing.

        Raises:
            InputError: See `mask`.
        """
        kinds = None if self.masks is None else self.masks.by_kind(index)
        if self.masks is None or kinds is None:
            return None
        for mask in kinds.values():
            refuse_other_aspect(mask.shape, self.masks.images.names[index], self.sizes[index])
        return kinds

    def is_known(self, index: int, marked: bool) -> bool:
        """Whether it is known where the defects of an image are, if there are masks.

        Args:
            index: Index of the image.
            marked: Whether its mask marks any pixel. It may be empty only if no label contradicts.
        """
        return marked or self.states is None or bool(self.states[index] == 0)

    def defective(self, marked: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Returns which images are defective, and for which images this is known, (N,) each.

        Args:
            marked: (N,), whether the mask of an image marks any pixel.
        """
        if self.states is None:
            return marked, np.ones(len(marked), np.bool_)
        return marked | (self.states == 1), marked | (self.states >= 0)


def truth_of_run(run: Run, masks: MasksLike | None = None) -> Truth | None:
    """Collects true masks, and labels if some of them name the normal class.

    Args:
        run: A finished run.
        masks: True masks; by default those of the column `mask` of the manifest of the images, or
            of the folder `ground_truth/` beside their folder `test/`.

    Returns:
        None where there are neither masks nor such labels.

    Raises:
        InputError: The masks do not fit the images.
    """
    images = _images_of_run(run)
    masks = _default_masks(run) if masks is None else masks
    true_masks = None if masks is None else _on_images(open_masks(masks, images), run)
    states = states_from_labels(run.images)
    if true_masks is None and states is None:
        return None
    ignored = _ignored_in_run(run, images)
    if true_masks is not None and ignored is not None:
        true_masks = replace(true_masks, ignored=ignored)
    return Truth(run.images[["height", "width"]].to_numpy(np.int64), states, true_masks)


def maps_of_run(run: Run) -> AnomalyMaps | None:
    """Opens the maps of a run: given to it, named by its manifest, or made by it.

    Returns:
        None where they have been moved or deleted.

    Raises:
        InputError: The ignored places of the run have been moved or deleted.
    """
    images = _images_of_run(run)
    ignored, maps = _ignored_in_run(run, images), _open_maps(run, images)
    return None if maps is None else replace(maps, ignored=ignored)


def _images_of_run(run: Run) -> ImageSet:
    """The images of a run, and behind them those that were left out but may have masks and maps."""
    skipped = [name for name in run.record.get("skipped", ()) if not name.startswith("normals/")]
    sources = tuple(Path(path) for path in [*run.images["path"], *skipped])
    return ImageSet((*run.images["name"], *skipped), sources, _root(run))


def _on_images(marks: Marks, run: Run) -> Marks:
    """The maps or masks of the images of a run alone, upright like these."""
    chosen = marks if len(marks) == len(run.images) else marks.select(range(len(run.images)))
    orientations = [orientation_of(Path(path)) for path in run.images["path"]]
    sizes = run.images[["height", "width"]].to_numpy(np.int64)
    return turned_along(chosen, orientations, sizes, Findings(), "masks")


def _ignored_in_run(run: Run, images: ImageSet) -> Masks | None:
    ignore = run.record["inputs"].get("ignore")
    return None if ignore is None else _on_images(open_places(ignore, images), run)


def _open_maps(run: Run, images: ImageSet) -> AnomalyMaps | None:
    inputs = run.record["inputs"]
    source = inputs.get("images")
    try:
        if "maps" in inputs:
            return _on_images(as_maps(inputs["maps"], images), run)
        if is_table(source):
            listed = ImageSet.from_manifest(source)
            columns = listed.columns
            if set(listed.names) == set(images.names) and columns is not None and MAP in columns:
                rows = [listed.names.index(name) for name in run.images["name"]]
                return _on_images(AnomalyMaps.from_manifest(listed.select(rows)), run)
    except InputError:
        return None
    names = tuple(run.images["name"])
    paths = tuple(run.folder / "maps" / f"{name}.npy" for name in names)
    return AnomalyMaps(names, paths) if all(path.is_file() for path in paths) else None


def _default_masks(run: Run) -> Path | None:
    source, root = run.record["inputs"].get("images"), _root(run)
    if is_table(source) and Path(source).expanduser().is_file():
        path = Path(source).expanduser()
        return path if MASK in Manifest.read(path).table else None
    if root is None:
        return None
    folder = (root.parent if root.name == "test" else root) / _GROUND_TRUTH
    return folder if folder.is_dir() else None


def _root(run: Run) -> Path | None:
    """Returns the folder of the images, if the run has one and it still exists."""
    source = run.record["inputs"].get("images")
    folder = Path(source).expanduser() if source else None
    if folder is None or not folder.is_dir():
        return None
    return folder / "test" if (folder / "test").is_dir() else folder
