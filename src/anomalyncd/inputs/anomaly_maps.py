"""Anomaly maps: one for each image, read when asked for, never all in memory at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings, count_values
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.manifest import MAP
from anomalyncd.inputs.masks import Masks
from anomalyncd.inputs.pairing import refuse_missing, refuse_other_aspect, refuse_strangers
from anomalyncd.io.arrays import MAP_SUFFIXES, read_map, to_map
from anomalyncd.io.decoding import upright
from anomalyncd.io.files import (
    and_more,
    files_by_name,
    name_of,
    normal_form,
    require_folder,
)
from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    import torch

_NEARLY_ALL = 0.8
"""Share of inverted maps; of maps of normal images up to 0.15 look inverted by chance."""
_FEWEST = 3

Scores: TypeAlias = Union[str, Path, NDArray[Any], "torch.Tensor"]


@dataclass(frozen=True, eq=False)
class AnomalyMaps:
    """The anomaly maps of some images, in the order of the images; `maps[i]` reads one."""

    names: tuple[str, ...]
    """The names of the images."""
    sources: tuple[Path | NDArray[np.float32], ...]
    """For each image the file of its map, or its map."""
    ignored: Masks | None = None
    """Where nothing counts as anomalous; the scores there become the lowest score of the map."""
    turns: tuple[int, ...] = ()
    """For each image the EXIF orientation that makes its map upright; empty if all maps are."""

    @classmethod
    def from_folder(cls, folder: str | Path, images: ImageSet) -> "AnomalyMaps":
        """Pairs the maps of a folder with images by relative name.

        Args:
            folder: Holds NAME.(npy|npz|tif|tiff|png) for each image NAME; if it has a sub-folder
                `test/`, only that is searched, as for images.
            images: The images.

        Returns:
            The maps; none of them has been opened.

        Raises:
            InputError: There is no such folder, or a map is missing, doubled or without an image.
        """
        parent = require_folder(folder)
        root = parent / "test" if (parent / "test").is_dir() else parent
        files = files_by_name(root, MAP_SUFFIXES, "map")
        if not files:
            raise InputError(f"no map under '{root}'; expected .npy, .npz, .pt, .tif or .png files")
        refuse_strangers(files, images, "map")
        refuse_missing(files, images, "map", f"under '{root}'", MAP_SUFFIXES)
        return cls(images.names, tuple(files[name] for name in images.names))

    @classmethod
    def from_dict(cls, maps: Mapping[str, Scores], images: ImageSet) -> "AnomalyMaps":
        """Pairs maps with images by the keys of a dictionary.

        Args:
            maps: Image name to map: a path, or an array or tensor as `to_map` takes it.
            images: The images.

        Returns:
            The maps.

        Raises:
            InputError: A map is missing, without an image or unusable.
        """
        named = {normal_form(name): scores for name, scores in maps.items()}
        refuse_strangers({name: name for name in named}, images, "map")
        refuse_missing(named, images, "map", "among the maps given", MAP_SUFFIXES)
        return cls(images.names, tuple(_source(named[name], name) for name in images.names))

    @classmethod
    def from_list(cls, maps: Iterable[Scores], images: ImageSet) -> "AnomalyMaps":
        """Takes maps in the order of the images.

        Args:
            maps: Paths, or arrays or tensors as `to_map` takes them; an array or tensor of shape
                NxHxW or Nx1xHxW counts as a list.
            images: The images.

        Returns:
            The maps.

        Raises:
            InputError: The number of maps differs from that of the images, a map is unusable, or
                the paths bear the names of the images in another order.
        """
        items = list(maps)
        if len(items) != len(images):
            raise InputError(
                f"{counted(len(items), 'map')} for {counted(len(images), 'image')}; give one for "
                "each, in their order"
            )
        _refuse_other_order(items, images)
        pairs = zip(items, images.names, strict=True)
        return cls(images.names, tuple(_source(item, name) for item, name in pairs))

    @classmethod
    def from_manifest(cls, images: ImageSet) -> "AnomalyMaps":
        """Takes the maps that the manifest of the images names, in its column `anomaly_map`.

        Raises:
            InputError: An image has none.
        """
        assert images.columns is not None
        cells = images.columns[MAP]
        blank = [name for name, cell in zip(images.names, cells, strict=True) if not cell]
        if blank:
            raise InputError(
                f"image '{blank[0]}'{and_more(len(blank))} has no map in the column '{MAP}' of its "
                "manifest; fill it in for all images, or remove the column"
            )
        return cls(images.names, tuple(Path(cell) for cell in cells))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Returns one map, HxW float32; reads its file if it has one."""
        source = self.sources[index]
        scores = read_map(source) if isinstance(source, Path) else source
        scores = upright(scores, self.turns[index] if self.turns else 1)
        ignored = None if self.ignored is None else self.ignored.at_size(index, scores.shape)
        return scores if ignored is None else np.where(ignored, scores.min(), scores)

    def select(self, indices: Sequence[int]) -> "AnomalyMaps":
        """Returns the maps of the images at `indices`, in that order."""
        names = tuple(self.names[index] for index in indices)
        sources = tuple(self.sources[index] for index in indices)
        turns = tuple(self.turns[index] for index in indices) if self.turns else ()
        ignored = None if self.ignored is None else self.ignored.select(indices)
        return AnomalyMaps(names, sources, ignored, turns)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))


MapsLike: TypeAlias = AnomalyMaps | str | Path | Mapping[str, Scores] | Iterable[Scores]


def as_maps(value: MapsLike, images: ImageSet) -> AnomalyMaps:
    """Returns the maps of images from a folder, a dictionary by image name, or a list in order.

    Raises:
        InputError: See the methods of `AnomalyMaps`; or `value` holds the maps of other images.
    """
    if isinstance(value, AnomalyMaps):
        if value.names != images.names:
            raise InputError("the maps belong to other images; pair them with these images")
        return value
    if isinstance(value, str | Path):
        return AnomalyMaps.from_folder(value, images)
    if isinstance(value, Mapping):
        return AnomalyMaps.from_dict(value, images)
    if isinstance(value, Iterable):
        return AnomalyMaps.from_list(value, images)
    raise InputError(f"maps are given as {type(value).__name__}; give a folder or a list of maps")


def check_maps(
    maps: AnomalyMaps,
    sizes: NDArray[np.int64],
    findings: Findings | None = None,
    what: str = "maps",
) -> None:
    """Reads every map once, so that an unusable one is found before long work.

    Args:
        maps: The maps; a few are in memory at a time.
        sizes: Height and width of the images, (N, 2), px; 0 x 0 where an image cannot be read.
        findings: Where faults and facts go; by default the first fault is raised.
        what: What the maps are, for the facts.

    Raises:
        InputError: A map is unusable or has another aspect ratio than its image; names the first
            and counts the others.
    """
    findings = findings or Findings()

    def read(index: int) -> tuple[float, float, float, str]:
        scores, source = maps[index], maps.sources[index]
        if sizes[index].all():
            refuse_other_aspect(scores.shape, maps.names[index], sizes[index])
        kind = source.suffix if isinstance(source, Path) else "in memory"
        return float(scores.min()), float(np.median(scores)), float(scores.max()), kind

    outcomes = findings.read_each(read, len(maps), "Checking maps")
    usable = [outcome for outcome in outcomes if outcome is not None]
    if usable:
        lowest = min(outcome[0] for outcome in usable)
        highest = max(outcome[2] for outcome in usable)
        findings.add_fact(what, count_values(outcome[3] for outcome in usable))
        findings.add_fact(f"{what}: scores", f"{lowest:.4g} to {highest:.4g}")
    named = zip(maps.names, outcomes, strict=True)
    _warn_about_maps({name: one[:3] for name, one in named if one is not None}, findings, what)


def _warn_about_maps(
    scores: dict[str, tuple[float, float, float]], findings: Findings, what: str
) -> None:
    """Adds warnings about maps that tell nothing, or the opposite; from lowest, median, highest."""
    constant = [name for name, (low, _, high) in scores.items() if low == high]
    if constant:
        findings.warn(
            f"All scores are the same on {counted(len(constant), 'map')} of {len(scores):,} "
            f"({what}), first on that of '{constant[0]}'. Nothing can be found there. Check "
            "whether the detector failed on these images."
        )
    varied = [one for one in scores.values() if one[0] < one[2]]
    n_inverted = sum(median > low / 2 + high / 2 for low, median, high in varied)
    if len(varied) >= _FEWEST and n_inverted >= _NEARLY_ALL * len(varied):
        findings.warn(
            f"On {n_inverted:,} of {counted(len(varied), 'map')} ({what}) most of the image scores "
            "above the middle between its lowest and highest score, as if high scores meant "
            "normal. Defects would be missed and the background taken for them. Change the sign of "
            "the maps, so that higher means more anomalous."
        )


def _source(item: Scores, name: str) -> Path | NDArray[np.float32]:
    if isinstance(item, str | Path):
        return Path(item).expanduser()
    return to_map(item, f"map '{name}'")


def _refuse_other_order(items: list[Scores], images: ImageSet) -> None:
    # A sorted list of files beside an unsorted list of images is a common mistake.
    if not all(isinstance(item, str | Path) for item in items):
        return
    actual = [name_of(Path(str(item)), MAP_SUFFIXES).rsplit("/")[-1] for item in items]
    wanted = [name.rsplit("/")[-1] for name in images.names]
    if actual != wanted and sorted(actual) == sorted(wanted):
        first = next(
            i for i, pair in enumerate(zip(actual, wanted, strict=True)) if len(set(pair)) > 1
        )
        raise InputError(
            f"map '{items[first]}' stands where that of '{images.names[first]}' belongs; "
            "give the maps in the order of the images"
        )
