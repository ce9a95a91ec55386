"""Anomaly maps: one per image, read when asked for, never all in memory at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.manifest import MAP
from anomalyncd.inputs.map_files import (
    MAP_SUFFIXES,
    read_map,
    to_map,
)
from anomalyncd.inputs.masks import Masks
from anomalyncd.inputs.pairing import refuse_missing, refuse_strangers
from anomalyncd.io.files import (
    and_more,
    files_by_name,
    name_of,
    normal_form,
    read_each,
    require_folder,
)

Scores: TypeAlias = str | Path | NDArray[Any] | torch.Tensor


@dataclass(frozen=True, eq=False)
class AnomalyMaps:
    """The anomaly maps of some images, in the order of the images; `maps[i]` reads one."""

    names: tuple[str, ...]
    """The names of the images."""
    sources: tuple[Path | NDArray[np.float32], ...]
    """For each image the file of its map, or the map."""
    ignored: Masks | None = None
    """Where nothing is anomalous, whatever the map says."""

    @classmethod
    def from_folder(cls, folder: str | Path, images: ImageSet) -> "AnomalyMaps":
        """Pairs the maps of a folder with images by relative name.

        Args:
            folder: Holds NAME.(npy|npz|tif|tiff|png) for each image NAME; where it has a sub-folder
                `test/`, only that is searched, as for images.
            images: The images.

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
        refuse_strangers(files, images, "map")
        refuse_missing(files, images, "map", f"under '{root}'", MAP_SUFFIXES)
        return cls(images.names, tuple(files[name] for name in images.names))

    @classmethod
    def from_dict(cls, maps: Mapping[str, Scores], images: ImageSet) -> "AnomalyMaps":
        """Pairs maps with images by the names given.

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
            maps: Paths, or arrays or tensors as `to_map` takes them; an array or tensor NxHxW or
                Nx1xHxW is a list.
            images: The images.

        Returns:
            The maps.

        Raises:
            InputError: Another number than images, an unusable map, or paths that bear the names of
                the images in another order.
        """
        items = list(maps)
        if len(items) != len(images):
            raise InputError(
                f"{len(items)} maps for {len(images)} images; give one for each, in order"
            )
        _refuse_other_order(items, images)
        pairs = zip(items, images.names, strict=True)
        return cls(images.names, tuple(_source(item, name) for item, name in pairs))

    @classmethod
    def from_manifest(cls, images: ImageSet) -> "AnomalyMaps":
        """Takes the maps that the manifest of the images names, in its column `anomaly_map`.

        Raises:
            InputError: A image has none.
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
        ignored = None if self.ignored is None else self.ignored.at_size(index, scores.shape)
        return scores if ignored is None else np.where(ignored, scores.min(), scores)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))


MapsLike: TypeAlias = AnomalyMaps | str | Path | Mapping[str, Scores] | Iterable[Scores]


def as_maps(value: MapsLike, images: ImageSet) -> AnomalyMaps:
    """Returns the maps of `images` from a folder, a dictionary by image name, or a list in order.

    Raises:
        InputError: See `MapSequence`; or `value` holds the maps of other images.
    """
    if isinstance(value, AnomalyMaps):
        if value.names != images.names:
            raise InputError("the maps given belong to other images; pair them with these images")
        return value
    if isinstance(value, str | Path):
        return AnomalyMaps.from_folder(value, images)
    if isinstance(value, Mapping):
        return AnomalyMaps.from_dict(value, images)
    if isinstance(value, Iterable):
        return AnomalyMaps.from_list(value, images)
    raise InputError(f"maps are given as {type(value).__name__}; give a folder or a list of maps")


def check_maps(maps: AnomalyMaps | Masks, images: ImageSet, sizes: NDArray[np.int64]) -> None:
    """Reads every map or mask once, so that an unusable one is found before long work.

    A map may have any size, but must be square (detectors often resize so) or have the aspect ratio
    of its image, give or take 10 % (sides are often rounded to multiples of a patch) or one pixel.

    Args:
        maps: The maps, or masks in their place; a few are held at a time.
        images: The images.
        sizes: Sizes (N, 2) of the images in pixels: height, width.

    Raises:
        InputError: A map is unusable or has another aspect ratio; names the first and counts the
            others.
    """
    read_each(
        lambda i: check_map(maps[i].shape, images.names[i], sizes[i]), len(maps), "Checking maps"
    )


def check_map(shape: tuple[int, ...], name: str, size: NDArray[np.int64]) -> None:
    """Raises if a map has another aspect ratio than its image; see `check_maps`.

    Args:
        shape: Height and width of the map or mask.
        name: Of the image.
        size: Height and width of the image, px.

    Raises:
        InputError: Names the image and both sizes.
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


def _refuse_other_order(items: list[Scores], images: ImageSet) -> None:
    # A sorted list of files beside an unsorted list of images is the classic mistake.
    if not all(isinstance(item, str | Path) for item in items):
        return
    given = [name_of(Path(str(item)), MAP_SUFFIXES).rsplit("/")[-1] for item in items]
    wanted = [name.rsplit("/")[-1] for name in images.names]
    if given != wanted and sorted(given) == sorted(wanted):
        first = next(
            i for i, pair in enumerate(zip(given, wanted, strict=True)) if len(set(pair)) > 1
        )
        raise InputError(
            f"map '{items[first]}' stands where that of '{images.names[first]}' belongs; "
            "give the maps in the order of the images"
        )


def _same_aspect(height: int, width: int, image_height: int, image_width: int) -> bool:
    if height == width:
        return True
    difference = abs(height * image_width - width * image_height)
    return difference <= max(0.1 * height * image_width, image_height, image_width)
