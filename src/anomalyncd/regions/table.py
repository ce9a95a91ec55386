"""The table of regions that travels through the system."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.inputs.masks import encode_mask
from anomalyncd.io.files import write_atomically

COLUMNS = ("image", "box", "area", "score", "found")
"""Fields of `Regions` that hold one row for each region."""


@dataclass(frozen=True)
class CodedMasks:
    """One mask an image at the size of its anomaly map, decoded when asked for."""

    codes: tuple[bytes, ...]
    """A PNG file each, see `anomalyncd.inputs.masks.encode_mask`."""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """The mask of one image, (H, W), bool."""
        code = np.frombuffer(self.codes[index], np.uint8)
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)) > 0

    def save(self, folder: Path, names: Sequence[str]) -> None:
        """Writes each mask as `folder/name.png`, either whole or not at all.

        Args:
            folder: Made where it is missing, as are the folders that the names hold.
            names: One a mask: relative path without the suffix.
        """
        for name, code in zip(names, self.codes, strict=True):
            with write_atomically(folder / f"{name}.png") as temporary:
                temporary.write_bytes(code)


@dataclass(frozen=True, eq=False)
class Regions:
    """Anomaly-centred regions of N images, one row each; every image has at least one."""

    image: NDArray[np.int64]
    """(R,): index of the image; the rows of one image stand together, images in ascending order."""
    box: NDArray[np.float64]
    """(R, 4): left, top, right, bottom in image pixels; may leave the image."""
    area: NDArray[np.int64]
    """(R,): mask pixels inside the box, at the size of the image, neighbours' included."""
    score: NDArray[np.float32]
    """(R,): highest anomaly score inside the box, where the score range is 0..1."""
    found: NDArray[np.bool_]
    """(R,): False where nothing stands out on the image; the box is that of its most conspicuous
    place, or of the whole image where there is none."""
    masks: CodedMasks = CodedMasks(())
    """One for each image, at the size of its map: anomalous pixels, whether or not they stand
    out."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(N, n_thresholds): MEBin's connected components of each image, highest threshold first;
    (N, 0) where masks were given."""
    max_normal_score: float = 1.0
    """No region with a higher score is taken for normal, see `ScoreRange.max_normal_score`."""

    def __len__(self) -> int:
        return len(self.image)

    def select(self, index: Any) -> "Regions":
        """Rows by anything that indexes a numpy array; what is known of each image stays."""
        return replace(self, **{name: getattr(self, name)[index] for name in COLUMNS})

    def of_image(self, image: int) -> "Regions":
        """The regions of one image."""
        return self.select(self.image == image)

    @staticmethod
    def concatenate(tables: Sequence["Regions"]) -> "Regions":
        """One table of the rows of several, in order; what is known of each image is left out.

        Args:
            tables: At least one.
        """
        rows: Any = {name: np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS}
        return Regions(**rows)

    def to_frame(self) -> pd.DataFrame:
        """Columns `image`, `left`, `top`, `right`, `bottom`, `area`, `score`, `found`."""
        sides = dict(zip(("left", "top", "right", "bottom"), self.box.T, strict=True))
        rest = {"area": self.area, "score": self.score, "found": self.found}
        return pd.DataFrame({"image": self.image, **sides, **rest})

    @property
    def masks_found(self) -> CodedMasks:
        """The masks, empty where nothing stands out on an image."""
        with_region = set(self.image[self.found].tolist())
        return CodedMasks(
            tuple(
                code if index in with_region else encode_mask(np.zeros_like(self.masks[index]))
                for index, code in enumerate(self.masks.codes)
            )
        )


def resize_mask(mask: NDArray[np.bool_], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Brings a mask to the size of its image by nearest neighbours.

    Args:
        mask: (h, w), bool.
        image_size: Height and width of the image.

    Returns:
        (H, W), bool.
    """
    size = (image_size[1], image_size[0])
    resized = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized) > 0
