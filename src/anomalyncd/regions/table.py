"""The table of regions, which all later stages read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.inputs.mask_files import decode_mask, encode_mask
from anomalyncd.io.writing import write_atomically
from anomalyncd.regions.shapes import N_MEASURES

COLUMNS = ("image", "box", "area", "score", "found", "shape")
"""Fields of `Regions` with one row for each region."""


@dataclass(frozen=True)
class CodedMasks:
    """One mask for each image, at the size of its anomaly map, decoded when it is read."""

    codes: tuple[bytes, ...]
    """The contents of one PNG file for each mask, see `inputs.mask_files.encode_mask`."""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """Decodes the mask of one image, (H, W), bool."""
        return decode_mask(self.codes[index])

    def save(self, folder: Path, names: Sequence[str]) -> None:
        """Writes each mask as `folder/name.png`, either completely or not at all.

        Args:
            folder: Made where it is missing, as are folders within names.
            names: One for each mask: a relative path without the suffix.
        """
        for name, code in zip(names, self.codes, strict=True):
            with write_atomically(folder / f"{name}.png") as temporary:
                temporary.write_bytes(code)


@dataclass(frozen=True, eq=False)
class Regions:
    """Anomaly-centred regions of N images, one row each; every image has at least one region."""

    image: NDArray[np.int64]
    """(R,): index of the image, in ascending order."""
    box: NDArray[np.float64]
    """(R, 4): left, top, right, bottom in image pixels; may leave the image."""
    area: NDArray[np.int64]
    """(R,): pixels of the image's mask inside the box, at the size of the image."""
    score: NDArray[np.float32]
    """(R,): highest anomaly score inside the box, on the scale where the score range is 0..1."""
    found: NDArray[np.bool_]
    """(R,): False for an image without an anomalous region; its box is then that of the highest
    scores, or the whole image."""
    masks: CodedMasks = CodedMasks(())
    """One for each image, at the size of its map: pixels above the threshold, whether or not they
    exceed the background peak."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(N, n_thresholds): MEBin's connected components of each image, highest threshold first;
    (N, 0) where masks were given."""
    max_normal_score: float = 1.0
    """No region with a higher score is taken for normal, see `ScoreRange.max_normal_score`."""
    shape: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, N_MEASURES)))
    """(R, 2): size and elongation, see `measure_shape`; NaN where it was not measured."""

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.image):
            object.__setattr__(self, "shape", np.full((len(self.image), N_MEASURES), np.nan))

    def __len__(self) -> int:
        return len(self.image)

    def select(self, index: Any) -> "Regions":
        """Selects rows by anything that indexes a NumPy array; fields of images stay complete."""
        return replace(self, **{name: getattr(self, name)[index] for name in COLUMNS})

    @staticmethod
    def join(tables: Sequence["Regions"]) -> "Regions":
        """Joins the tables of single images and numbers the images in this order.

        Args:
            tables: At least one; their masks, counts and `image` are not used.
        """
        rows: Any = {name: np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS}
        image = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        return Regions(**rows | {"image": image})

    @property
    def masks_found(self) -> CodedMasks:
        """The masks, empty for images without an anomalous region."""
        with_region = set(self.image[self.found].tolist())
        return CodedMasks(
            tuple(
                code if index in with_region else encode_mask(np.zeros_like(self.masks[index]))
                for index, code in enumerate(self.masks.codes)
            )
        )


def resize_mask(mask: NDArray[np.bool_], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Brings a mask to the size of its image by nearest-neighbour interpolation.

    Args:
        mask: (h, w), bool.
        image_size: Height and width of the image.

    Returns:
        (H, W), bool.
    """
    size = (image_size[1], image_size[0])
    resized = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized) > 0
