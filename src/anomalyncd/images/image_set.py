"""The image set: an ordered collection of named images, read when asked for."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.levels import Levels
from anomalyncd.images.manifest import MASK, Manifest, Split
from anomalyncd.images.pixels import IMAGE_SUFFIXES, read_image, to_pixels, to_rgb
from anomalyncd.io.files import (
    and_more,
    files_by_name,
    name_of,
    normal_form,
    require_folder,
    shared_folder,
)
from anomalyncd.io.key import content_digest, key
from anomalyncd.io.tables import is_table
from anomalyncd.io.tensors import is_tensor
from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    import torch

_Item: TypeAlias = Union[Path, NDArray[Any], "torch.Tensor", Image.Image]
Picture: TypeAlias = str | _Item

_UNREADABLE_SUFFIXES = frozenset(
    {".heic", ".heif", ".jxl", ".exr", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw"}
    | {".dcm", ".fits", ".hdr", ".psd", ".pcx", ".sgi", ".svg", ".czi", ".nd2", ".svs"}
)
_TRUTH = "ground_truth"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one product in a fixed order, each with a unique name.

    Examples:
        >>> images = ImageSet.from_list([np.zeros((4, 6), np.uint8)], names=["plate/1"])
        >>> images.names, images.image(0).shape
        (('plate/1',), (4, 6, 3))
    """

    names: tuple[str, ...]
    """Relative POSIX paths without suffix, "broken_large/000"; unique."""
    sources: tuple[Path | NDArray[Any], ...]
    """For each image its file, or its pixels as `to_pixels` returns them."""
    root: Path | None = None
    """The folder to which the names are relative; None for a list."""
    columns: pd.DataFrame | None = None
    """Further columns of the manifest, one row for each image, text; None without a manifest."""
    levels: Levels | None = None
    """What is black and white in images of more than 8 bits; None takes each for a set of its own,
    until the images have been checked."""

    def __post_init__(self) -> None:
        if len(self.names) != len(self.sources):
            raise InputError(
                f"{counted(len(self.names), 'name')} for {counted(len(self.sources), 'image')}; "
                "give as many"
            )
        if len(set(self.names)) != len(self.names):
            doubled = next(n for i, n in enumerate(self.names) if n in self.names[:i])
            raise InputError(f"two images are named '{doubled}'; give each a different name")

    @classmethod
    def from_folder(cls, folder: str | Path) -> "ImageSet":
        """Collects the images of a plain folder, or of `test/` in an MVTec AD layout.

        Args:
            folder: Searched at any depth; hidden files and `ground_truth/` are ignored. If it has
                a sub-folder `test/`, only the images in there are taken, named relative to it.

        Returns:
            The images, sorted by name; none of them has been opened.

        Raises:
            InputError: The folder does not exist, holds no images, several products or two images
                of one name, or holds images of a format that cannot be read.
        """
        parent = require_folder(folder)
        root = parent / "test" if (parent / "test").is_dir() else parent
        files = {
            name: path
            for name, path in files_by_name(root, IMAGE_SUFFIXES, "image").items()
            if not name.startswith(f"{_TRUTH}/")
        }
        _refuse_unreadable(root, files.keys())
        if not files:
            raise InputError(f"no image under '{root}'; expected files such as .png, .jpg or .tif")
        products = sorted({n.split(f"/{_TRUTH}/")[0] for n in files if f"/{_TRUTH}/" in n})
        if products:
            raise InputError(
                f"'{root}' holds the products {', '.join(products)}; give the folder of one of them"
            )
        return cls(tuple(files), tuple(files.values()), root)

    @classmethod
    def from_manifest(cls, path: str | Path, split: Split = "test") -> "ImageSet":
        """Collects the images that a table names.

        Args:
            path: `.csv`, `.jsonl` or `.parquet`, see `Manifest.read`.
            split: The rows to take, see `Manifest.of_split`.

        Returns:
            The images in the order of the table, with its further columns; none of them has been
            opened.

        Raises:
            InputError: See `Manifest`.
        """
        rows = Manifest.read(path).of_split(split)
        further = rows.table.drop(columns=MASK, errors="ignore")
        return cls(rows.names, rows.images, rows.root, further)

    @classmethod
    def from_list(cls, images: Iterable[Picture], names: Sequence[str] | None = None) -> "ImageSet":
        """Collects images from paths, arrays, tensors or Pillow images, which may be mixed.

        Args:
            images: Paths, or images as `to_rgb` takes them; a 4-D array or tensor counts as a
                list.
            names: One for each; by default paths are named relative to the folder that they share,
                and images in memory by their position, "000", "001".

        Returns:
            The images, in the order of the list.

        Raises:
            InputError: The list is empty, an image cannot be used, a path is no file, or the names
                cannot be used.
        """
        if (isinstance(images, np.ndarray) or is_tensor(images)) and images.ndim in (2, 3):
            raise InputError(f"images have shape {tuple(images.shape)}; give a list, or NxHxWx3")
        items = [Path(item).expanduser() if isinstance(item, str) else item for item in images]
        if not items:
            raise InputError("the list of images is empty; give at least one")
        chosen = _default_names(items) if names is None else _checked_names(names)
        if len(chosen) != len(items):
            raise InputError(
                f"{counted(len(chosen), 'name')} for {counted(len(items), 'image')}; give as many"
            )
        sources = (_source(item, name) for item, name in zip(items, chosen, strict=True))
        return cls(chosen, tuple(sources))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> tuple[str, ...]:
        """For each image the absolute path of its file, or its name if it was given in memory."""
        pairs = zip(self.names, self.sources, strict=True)
        return tuple(
            os.path.abspath(source) if isinstance(source, Path) else name  # noqa: PTH100
            for name, source in pairs
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        """Returns one image, HxWx3 uint8, red first; reads its file if it has one."""
        source = self.sources[index]
        if isinstance(source, Path):
            return read_image(source, self.levels)
        return to_rgb(source, self.names[index], self.levels)

    def digest(self, index: int) -> str:
        """Returns a digest of the content of one image as it is read; see `content_digest`."""
        return key(content_digest(self.sources[index]), self.levels)

    def select(self, indices: Iterable[int]) -> "ImageSet":
        """Returns the images at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        names = tuple(self.names[index] for index in chosen)
        sources = tuple(self.sources[index] for index in chosen)
        columns = self.columns
        if columns is not None:
            columns = columns.iloc[chosen].reset_index(drop=True)
        return replace(self, names=names, sources=sources, columns=columns)


def hidden_images(images: ImageSet, folder: Path, given: Sequence[Path]) -> list[Path]:
    """Returns the images that `ImageSet.from_folder` passes over, since they lie beside `test/`.

    Args:
        images: What it returned.
        folder: What it was given.
        given: Files and folders that have a use of their own; images in them are not counted.
    """
    if images.root is None or images.root != folder / "test":
        return []
    used = (images.root, folder / _TRUTH, *given)
    known = {one.expanduser().resolve() for one in used} - {folder.resolve()}
    files = files_by_name(folder, IMAGE_SUFFIXES, "image").values()
    return [path for path in files if not known & {path.resolve(), *path.resolve().parents}]


def as_image_set(
    value: "ImageSet | str | Path | Iterable[Picture]", split: Split = "test"
) -> ImageSet:
    """Returns an image set from a folder, a manifest or a list; an image set is returned as it is.

    Args:
        value: The folder, manifest, list or image set.
        split: Which rows of a manifest to take, see `ImageSet.from_manifest`.

    Raises:
        InputError: See `ImageSet.from_folder`, `ImageSet.from_manifest` and `ImageSet.from_list`.
    """
    if isinstance(value, ImageSet):
        return value
    if isinstance(value, str) and "://" in value:
        raise InputError(
            f"images '{value}' are on no disk of this system; copy them to one, or predict with "
            "the engine 'ray'"
        )
    if isinstance(value, str | Path) and is_table(value):
        return ImageSet.from_manifest(value, split)
    if isinstance(value, str | Path):
        return ImageSet.from_folder(value)
    if isinstance(value, Iterable) and not isinstance(value, Image.Image):
        return ImageSet.from_list(value)
    raise InputError(
        f"images are given as {type(value).__name__}; give a folder, a manifest or a list of images"
    )


def _refuse_unreadable(root: Path, readable: Iterable[str]) -> None:
    # Cameras save a raw file beside each JPEG; the JPEG is enough.
    known = set(readable)
    others = files_by_name(root, _UNREADABLE_SUFFIXES, "image")
    lost = [path for name, path in others.items() if name not in known]
    if lost:
        raise InputError(
            f"image '{lost[0]}'{and_more(len(lost))} has a format that cannot be read; "
            "convert it to .png or .jpg"
        )


def _source(item: _Item, name: str) -> Path | NDArray[Any]:
    if not isinstance(item, Path):
        return to_pixels(item, name)
    if not item.is_file():
        raise InputError(f"image '{item}' does not exist or is no file; check the path")
    return item


def _default_names(items: Sequence[_Item]) -> tuple[str, ...]:
    # No "..", since results are written to files of these names; links are not followed.
    paths = {i: Path(os.path.abspath(p)) for i, p in enumerate(items) if isinstance(p, Path)}  # noqa: PTH100
    shared = shared_folder(paths.values()) if paths else Path()
    width = max(3, len(str(len(items) - 1)))
    return tuple(
        name_of(paths[i].relative_to(shared), IMAGE_SUFFIXES) if i in paths else f"{i:0{width}d}"
        for i in range(len(items))
    )


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        path = PurePosixPath(name)
        # Results are written to files of these names.
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise InputError(f"name '{name}' cannot be used; give a relative one without '..'")
    return tuple(normal_form(name) for name in names)
