"""Masks of defects drawn by people: black, and white where the defect is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.decoding import decode
from anomalyncd.data.files import files_by_name, require_folder
from anomalyncd.data.images import IMAGE_SUFFIXES, to_rgb
from anomalyncd.data.pairing import refuse_strangers
from anomalyncd.data.parts import Parts
from anomalyncd.errors import InputError

_ENDING = "_mask"
_MOST_CLASS_INDICES = 15


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of some parts, in the order of the parts; `masks[i]` reads one, HxW bool."""

    parts: Parts
    """The parts."""
    files: tuple[Path | None, ...]
    """For each part the file of its mask; None for a part without a defect."""

    @classmethod
    def from_folder(cls, folder: str | Path, parts: Parts) -> "Masks":
        """Pairs the masks of a folder with parts by relative name.

        Args:
            folder: Holds NAME_mask.png or NAME.png (any image format) for each part NAME with a
                defect, as `ground_truth/` of MVTec AD does.
            parts: The parts; one without a mask has no defect. Masks of the images under `train/`
                beside the parts' `test/` are left aside.

        Returns:
            The masks; none has been opened.

        Raises:
            InputError: No such folder, no mask belongs to a part, or a mask is doubled, without an
                image, or fits two parts.
        """
        root = require_folder(folder)
        files = files_by_name(root, IMAGE_SUFFIXES, "mask")
        if not files:
            raise InputError(f"no mask under '{root}'; expected files such as NAME_mask.png")
        training = _training_names(parts)
        owned = _by_owner(files, {*parts.names, *training})
        refuse_strangers(owned, parts, "mask", training)
        return cls(parts, tuple(owned.get(name) for name in parts.names))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """Returns one mask, HxW bool, in the size of its file (without one: of its image)."""
        path = self.files[index]
        if path is None:
            return np.zeros(self.parts.image(index).shape[:2], dtype=np.bool_)
        return read_mask(path)

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        return (self[index] for index in range(len(self)))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Reads a mask from an image file.

    A pixel is defect if its brightest channel is above half of the largest value in the file, so
    0/1, 0/255, smoothed and coloured masks all mean the same. Integers of at most 15 are taken for
    class indices, and every one above 0 is defect.

    Args:
        path: A file in any image format; of a transparent one the transparent pixels are black.

    Returns:
        HxW bool, True = defect.

    Raises:
        InputError: The file is missing, damaged, empty or holds NaN.

    Source: our own.
    """
    pixels = decode(path, "mask")
    values = pixels if pixels.ndim == 2 else to_rgb(pixels, str(path)).max(axis=2)
    highest = values.max()
    if not np.isfinite(highest):
        raise InputError(
            f"mask '{path}' holds NaN or infinite values; save it as a black and white .png"
        )
    indices = values.dtype.kind in "iu" and highest <= _MOST_CLASS_INDICES
    return np.asarray(values > (0 if indices else highest / 2))


def _by_owner(files: Mapping[str, Path], names: set[str]) -> dict[str, Path]:
    owned: dict[str, Path] = {}
    for stem, path in files.items():
        bare = stem.removesuffix(_ENDING)
        if bare != stem and bare in names and stem in names:
            raise InputError(
                f"mask '{path}' fits the images '{bare}' and '{stem}'; rename one of them"
            )
        owner = stem if stem in names else bare
        if owner in owned:
            raise InputError(
                f"image '{owner}' has two masks: '{owned[owner].name}' and '{path.name}'; keep one"
            )
        owned[owner] = path
    return owned


def _training_names(parts: Parts) -> tuple[str, ...]:
    # MTD has a mask for every image, those for training included.
    if parts.root is None or parts.root.name != "test":
        return ()
    training = parts.root.parent / "train"
    return tuple(files_by_name(training, IMAGE_SUFFIXES, "image")) if training.is_dir() else ()
