"""Masks of many parts, held as PNG files in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.files import write_atomically


@dataclass(frozen=True)
class CodedMasks:
    """One mask a part at the size of its anomaly map, decoded when asked for."""

    codes: tuple[bytes, ...]
    """A PNG file each, see `anomalyncd.data.masks.encode_mask`."""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """The mask of one part, (H, W), bool."""
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
