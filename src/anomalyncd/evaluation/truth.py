"""Which parts of a run are defective and where, for scoring alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.inputs import MasksLike, open_masks, open_places
from anomalyncd.data.manifest import MAP, MASK, Manifest
from anomalyncd.data.maps import Maps, as_maps, check_map
from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts
from anomalyncd.data.tables import is_table
from anomalyncd.errors import InputError
from anomalyncd.evaluation.labels import states_from_labels
from anomalyncd.finished_run import FinishedRun

_TRUTH = "ground_truth"


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of the parts of a run, whatever the run made of them."""

    sizes: NDArray[np.int64]
    """Height and width of each part, (N, 2), px."""
    told: NDArray[np.int64] | None
    """(N,): 1 where the label names a defect, 0 where it says normal, -1 where there is none; None
    where no label says normal."""
    masks: Masks | None
    """True masks; None where they are not known."""

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """The true mask of a part, (H, W); None where it is not known where its defects lie.

        Raises:
            InputError: The mask cannot be read, or has another aspect ratio than its image.
        """
        if self.masks is None:
            return None
        if self.masks.sources[index] is None:  # Its image need not be opened.
            mask = np.zeros(self.sizes[index], np.bool_)
        else:
            mask = self.masks[index]
            check_map(mask.shape, self.masks.parts.names[index], self.sizes[index])
        unmarked = self.told is not None and self.told[index] != 0 and not mask.any()
        return None if unmarked else mask

    def states(self, marked: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which parts are defective, and of which it is known.

        Args:
            marked: (N,), whether a part's mask marks anything.
        """
        if self.told is None:
            return marked, np.ones(len(marked), np.bool_)
        return marked | (self.told == 1), marked | (self.told >= 0)


def truth_of_run(run: FinishedRun, masks: MasksLike | None = None) -> Truth | None:
    """Gathers what is known: masks, and labels of which one is called normal.

    Args:
        run: A finished run.
        masks: True masks; by default the column `mask` of the manifest of the parts, or
            `ground_truth/` beside their folder `test/`, where there is one.

    Returns:
        None where neither is known.

    Raises:
        InputError: The masks do not fit the parts.
    """
    parts = parts_of_run(run)
    given = _masks_beside(run) if masks is None else masks
    opened = None if given is None else open_masks(given, parts)
    told = states_from_labels(run.images)
    if opened is None and told is None:
        return None
    ignored = ignored_in_run(run, parts)
    if opened is not None and ignored is not None:
        opened = Masks(parts, opened.sources, ignored)
    return Truth(run.images[["height", "width"]].to_numpy(np.int64), told, opened)


def parts_of_run(run: FinishedRun) -> Parts:
    """The parts of a run, as its table names them."""
    sources = tuple(Path(path) for path in run.images["path"])
    return Parts(tuple(run.images["name"]), sources, _root(run))


def maps_of_run(run: FinishedRun) -> Maps | None:
    """The maps that a run used: those given, those its manifest names, or those it made.

    Returns:
        None where they are not to be found any more.
    """
    parts = parts_of_run(run)
    ignored = ignored_in_run(run, parts)
    maps = _maps(run, parts)
    return None if maps is None else Maps(maps.names, maps.sources, ignored)


def ignored_in_run(run: FinishedRun, parts: Parts) -> Masks | None:
    """Where nothing counted.

    Raises:
        InputError: What was given then is not there any more.
    """
    ignore = run.record["inputs"].get("ignore")
    return None if ignore is None else open_places(ignore, parts)


def _maps(run: FinishedRun, parts: Parts) -> Maps | None:
    inputs = run.record["inputs"]
    source, made = inputs.get("parts"), run.folder / "maps"
    try:
        if "maps" in inputs:
            return as_maps(inputs["maps"], parts)
        if is_table(source):
            named = Parts.from_manifest(source)
            if named.names == parts.names and named.columns is not None and MAP in named.columns:
                return Maps.from_manifest(named)
    except InputError:
        return None
    paths = tuple(made / f"{name}.npy" for name in parts.names)
    return Maps(parts.names, paths) if all(path.is_file() for path in paths) else None


def _masks_beside(run: FinishedRun) -> Path | None:
    source, root = run.record["inputs"].get("parts"), _root(run)
    if is_table(source) and Path(source).expanduser().is_file():
        path = Path(source).expanduser()
        return path if MASK in Manifest.read(path).table else None
    if root is None:
        return None
    truth = (root.parent if root.name == "test" else root) / _TRUTH
    return truth if truth.is_dir() else None


def _root(run: FinishedRun) -> Path | None:
    """The folder of the parts, where the run was given one that is still there."""
    source = run.record["inputs"].get("parts")
    folder = Path(source).expanduser() if source else None
    if folder is None or not folder.is_dir():
        return None
    return folder / "test" if (folder / "test").is_dir() else folder
