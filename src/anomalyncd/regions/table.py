"""The table of regions that travels through the system."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.regions.boxes import boxes_from_mask
from anomalyncd.regions.crops import crop
from anomalyncd.regions.mebin import Binarised
from anomalyncd.regions.score_range import ScoreRange, rescale
from anomalyncd.settings import RegionSettings


@dataclass(frozen=True, eq=False)
class Regions:
    """Anomaly-centred regions of some parts, one row each; every part has at least one."""

    image: NDArray[np.int64]
    """(R,): index of the part."""
    box: NDArray[np.float64]
    """(R, 4): left, top, right, bottom in image pixels; may leave the image."""
    area: NDArray[np.int64]
    """(R,): mask pixels inside the box, at the size of the image, neighbours' included."""
    score: NDArray[np.float32]
    """(R,): highest anomaly score inside the box, where the score range is 0..1."""
    found: NDArray[np.bool_]
    """(R,): False where nothing stands out on the part; the box is that of its most conspicuous
    place, or of the whole image where there is none."""

    def __len__(self) -> int:
        return len(self.image)

    def select(self, index: Any) -> "Regions":
        """Rows by anything that indexes a numpy array: a slice, indices or a boolean mask."""
        return Regions(*(getattr(self, field.name)[index] for field in fields(self)))

    def of_image(self, image: int) -> "Regions":
        """The regions of one part."""
        return self.select(self.image == image)

    @staticmethod
    def concatenate(tables: Sequence["Regions"]) -> "Regions":
        """One table of the rows of several, in order.

        Args:
            tables: At least one.
        """
        return Regions(
            *(np.concatenate([getattr(t, field.name) for t in tables]) for field in fields(Regions))
        )

    def to_frame(self) -> pd.DataFrame:
        """Columns `image`, `left`, `top`, `right`, `bottom`, `area`, `score`, `found`."""
        left, top, right, bottom = self.box.T
        return pd.DataFrame(
            {
                "image": self.image,
                "left": left,
                "top": top,
                "right": right,
                "bottom": bottom,
                "area": self.area,
                "score": self.score,
                "found": self.found,
            }
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


def find_regions(
    index: int,
    anomaly_map: NDArray[Any],
    binarised: Binarised,
    image_size: tuple[int, int],
    bounds: ScoreRange,
    settings: RegionSettings,
) -> Regions:
    """Finds the regions of one part.

    Args:
        index: Index of the part.
        anomaly_map: (h, w), any real type.
        binarised: What MEBin made of the map.
        image_size: Height and width of the image in px.
        bounds: The score range of all maps.
        settings: Rules, margins and distances.

    Returns:
        At least one region, largest first (AnomalyNCD, section 3.1). `paper`: scores are taken
        from the map after Pillow's bicubic resize to the image, so slightly above 1 at times.
    """
    mask = resize_mask(binarised.mask, image_size)
    boxes = boxes_from_mask(mask, binarised.n_regions, settings)
    scaled = rescale(anomaly_map, bounds)
    if settings.rules == "paper":
        height, width = image_size
        scaled = np.asarray(Image.fromarray(scaled).resize((width, height)))
        peaks = [float(crop(scaled, box, "zero").max()) for box in boxes]
    else:
        peaks = [_peak(scaled, box, image_size) for box in boxes]
    found = bool(mask.any()) and not bounds.is_sound(anomaly_map)
    return _table(index, mask, boxes, np.array(peaks, np.float32), found)


def regions_from_mask(
    index: int, mask: NDArray[np.bool_], image_size: tuple[int, int], settings: RegionSettings
) -> Regions:
    """Finds the regions of one part whose defects somebody has marked.

    Args:
        index: Index of the part.
        mask: (h, w), bool, any size; not eroded.
        image_size: Height and width of the image in px.
        settings: Rules, margins and distances.

    Returns:
        At least one region, largest first; scores are 1, or 0 where the mask is empty.
    """
    at_image_size = resize_mask(mask, image_size)
    n_regions = cv2.connectedComponents(at_image_size.astype(np.uint8), connectivity=8)[0] - 1
    boxes = boxes_from_mask(at_image_size, n_regions, settings)
    scores = np.full(len(boxes), at_image_size.any(), np.float32)
    return _table(index, at_image_size, boxes, scores, bool(at_image_size.any()))


def _table(
    index: int,
    mask: NDArray[np.bool_],
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    found: bool,
) -> Regions:
    areas = [np.count_nonzero(crop(mask, box, "zero")) for box in boxes]
    rows = np.full(len(boxes), index), boxes, np.array(areas), scores
    return Regions(*rows, np.full(len(boxes), found))


def _peak(
    scaled: NDArray[np.float32], box: NDArray[np.float64], image_size: tuple[int, int]
) -> float:
    """Highest value of a map among the pixels that a box of the image touches."""
    ratio = np.array(scaled.shape) / image_size
    top, left = np.maximum(np.floor(box[[1, 0]] * ratio), 0).astype(int)
    bottom, right = np.ceil(box[[3, 2]] * ratio).astype(int)
    return float(scaled[top:bottom, left:right].max())
