"""Anomaly maps: one per part, read when asked for, never all in memory at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.data.files import (
    and_more,
    files_by_name,
    name_of,
    normal_form,
    read_each,
    require_folder,
)
from anomalyncd.data.manifest import MAP
from anomalyncd.data.map_files import MAP_SUFFIXES, read_map, to_map
from anomalyncd.data.masks import Masks
from anomalyncd.data.pairing import refuse_missing, refuse_strangers
from anomalyncd.data.parts import Parts
from anomalyncd.errors import InputError

Scores: TypeAlias = str | Path | NDArray[Any] | torch.Tensor


@dataclass(frozen=True, eq=False)
class Maps:
    """The anomaly maps of some parts, in the order of the parts; `maps[i]` reads one."""

    names: tuple[str, ...]
    """The names of the parts."""
    sources: tuple[Path | NDArray[np.float32], ...]
    """For each part the file of its map, or the map."""
    ignored: Masks | None = None
    """Where nothing is anomalous, whatever the map says."""

    @classmethod
    def from_folder(cls, folder: str | Path, parts: Parts) -> "Maps":
        """Pairs the maps of a folder with parts by relative name.

        Args:
            folder: Holds NAME.(npy|npz|tif|tiff|png) for each part NAME; where it has a sub-folder
                `test/`, only that is searched, as for parts.
            parts: The parts.

        Returns:
            The maps; none has been opened.

        Raises:
            InputError: No such folder; a map is missing, doubled or without an image.
        """
        given = require_folder(folder)
        root = given / "test" if (given / "test").is_dir() else given
        files = files_by_name(root, MAP_SUFFIXES, "map")
        if not files:
            raise InputError(f"no map under '{root}'; expected .npy, .npz, .tif or .png files")
        refuse_strangers(files, parts, "map")
        refuse_missing(files, parts, "map", f"under '{root}'", MAP_SUFFIXES)
        return cls(parts.names, tuple(files[name] for name in parts.names))

    @classmethod
    def from_dict(cls, maps: Mapping[str, Scores], parts: Parts) -> "Maps":
        """Pairs maps with parts by the names given.

        Args:
            maps: Part name to map: a path, or an array or tensor as `to_map` takes it.
            parts: The parts.

        Returns:
            The maps.

        Raises:
            InputError: A map is missing, without an image or unusable.
        """
        named = {normal_form(name): scores for name, scores in maps.items()}
        refuse_strangers({name: name for name in named}, parts, "map")
        refuse_missing(named, parts, "map", "among the maps given", MAP_SUFFIXES)
        return cls(parts.names, tuple(_source(named[name], name) for name in parts.names))

    @classmethod
    def from_list(cls, maps: Iterable[Scores], parts: Parts) -> "Maps":
        """Takes maps in the order of the parts.

        Args:
            maps: Paths, or arrays or tensors as `to_map` takes them; an array or tensor NxHxW or
                Nx1xHxW is a list.
            parts: The parts.

        Returns:
            The maps.

        Raises:
            InputError: Another number than parts, an unusable map, or paths that bear the names of
                the parts in another order.
        """
        items = list(maps)
        if len(items) != len(parts):
            raise InputError(
                f"{len(items)} maps for {len(parts)} images; give one for each, in order"
            )
        _refuse_other_order(items, parts)
        pairs = zip(items, parts.names, strict=True)
        return cls(parts.names, tuple(_source(item, name) for item, name in pairs))

    @classmethod
    def from_manifest(cls, parts: Parts) -> "Maps":
        """Takes the maps that the manifest of the parts names, in its column `anomaly_map`.

        Raises:
            InputError: A part has none.
        """
        assert parts.columns is not None
        cells = parts.columns[MAP]
        blank = [name for name, cell in zip(parts.names, cells, strict=True) if not cell]
        if blank:
            raise InputError(
                f"image '{blank[0]}'{and_more(len(blank))} has no map in the column '{MAP}' of its "
                "manifest; fill it in for all images, or remove the column"
            )
        return cls(parts.names, tuple(Path(cell) for cell in cells))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Returns one map, HxW float32; reads its file if it has one."""
        source = self.sources[index]
        scores = read_map(source) if isinstance(source, Path) else source
        ignored = None if self.ignored is None else self.ignored.at_size(index, scores.shape)
        return scores if ignored is None else np.where(ignored, scores.min(), scores)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))


MapsLike: TypeAlias = Maps | str | Path | Mapping[str, Scores] | Iterable[Scores]


def as_maps(value: MapsLike, parts: Parts) -> Maps:
    """Returns the maps of `parts` from a folder, a dictionary by part name, or a list in order.

    Raises:
        InputError: See `Maps`; or `value` holds the maps of other parts.
    """
    if isinstance(value, Maps):
        if value.names != parts.names:
            raise InputError("the maps given belong to other parts; pair them with these parts")
        return value
    if isinstance(value, str | Path):
        return Maps.from_folder(value, parts)
    if isinstance(value, Mapping):
        return Maps.from_dict(value, parts)
    if isinstance(value, Iterable):
        return Maps.from_list(value, parts)
    raise InputError(f"maps are given as {type(value).__name__}; give a folder or a list of maps")


def check_maps(maps: Maps | Masks, parts: Parts, sizes: NDArray[np.int64]) -> None:
    """Reads every map or mask once, so that an unusable one is found before long work.

    A map may have any size, but must be square (detectors often resize so) or have the aspect ratio
    of its image, give or take 10 % (sides are often rounded to multiples of a patch) or one pixel.

    Args:
        maps: The maps, or masks in their place; a few are held at a time.
        parts: The parts.
        sizes: Sizes (N, 2) of the images in pixels: height, width.

    Raises:
        InputError: A map is unusable or has another aspect ratio; names the first and counts the
            others.
    """
    read_each(
        lambda i: check_map(maps[i].shape, parts.names[i], sizes[i]), len(maps), "Checking maps"
    )


def check_map(shape: tuple[int, ...], name: str, size: NDArray[np.int64]) -> None:
    """Raises if a map has another aspect ratio than its image; see `check_maps`.

    Args:
        shape: Height and width of the map or mask.
        name: Of the part.
        size: Height and width of the image, px.

    Raises:
        InputError: Names the part and both sizes.
    """
    height, width = shape
    image_height, image_width = (int(side) for side in size)
    if not _same_aspect(height, width, image_height, image_width):
        raise InputError(
            f"the map or mask of '{name}' is {height}x{width} (height x width), "
            f"its image {image_height}x{image_width}; give a map of the whole image, not turned"
        )


def _source(item: Scores, name: str) -> Path | NDArray[np.float32]:
    if isinstance(item, str | Path):
        return Path(item).expanduser()
    return to_map(item, f"map '{name}'")


def _refuse_other_order(items: list[Scores], parts: Parts) -> None:
    # A sorted list of files beside an unsorted list of images is the classic mistake.
    if not all(isinstance(item, str | Path) for item in items):
        return
    given = [name_of(Path(str(item)), MAP_SUFFIXES).rsplit("/")[-1] for item in items]
    wanted = [name.rsplit("/")[-1] for name in parts.names]
    if given != wanted and sorted(given) == sorted(wanted):
        first = next(
            i for i, pair in enumerate(zip(given, wanted, strict=True)) if len(set(pair)) > 1
        )
        raise InputError(
            f"map '{items[first]}' stands where that of '{parts.names[first]}' belongs; "
            "give the maps in the order of the images"
        )


def _same_aspect(height: int, width: int, image_height: int, image_width: int) -> bool:
    if height == width:
        return True
    difference = abs(height * image_width - width * image_height)
    return difference <= max(0.1 * height * image_width, image_height, image_width)
