"""The vectors of the patches of an image, computed by a graph."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.pixels import MEAN, STD, area_sides, least_resolution, resize
from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.roi_placing import place_roi
from anomalyncd.foreground.components import largest_components
from anomalyncd.images.image_set import ImageSet
from anomalyncd.runner.engines import Graphs
from anomalyncd.runner.folder import ExportedModel
from anomalyncd.runner.positions import resampled


@dataclass(frozen=True, eq=False)
class Patches:
    """As `detection.patches.PatchFeatures`, with arrays in place of tensors."""

    features: list[NDArray[np.float32]]
    """Unit vectors of the patches for each layer and neighbourhood, (rows, columns, D)."""
    size: tuple[int, int]
    """Height and width of the whole image, px."""
    roi: RegionOfInterest | None
    """The region of interest that the patches cover; None for the whole image."""


class GraphReader:
    """Reads the vectors of the patches of images, as `detection.patches.PatchReader` does.

    Args:
        graphs: The graphs.
        model: Sizes of the backbone, resolution, and how the region of interest is placed.
    """

    def __init__(self, graphs: Graphs, model: ExportedModel) -> None:
        self._graphs, self._facts = graphs, model.facts
        self._config: DetectorConfig = model.config.detector
        positions = model.arrays["positions"]
        antialias = bool(self._facts["antialias"])
        self._positions = lru_cache(16)(lambda grid: resampled(positions, grid, antialias))

    def read(self, images: ImageSet, index: int) -> Patches:
        """Reads one image, or its region of interest.

        Raises:
            InputError: The image cannot be read.
        """
        image = images.image(index)
        size = (image.shape[0], image.shape[1])
        located = self._facts["roi"]
        roi = None
        if located is not None:
            whole = self._run(image, least_resolution(self._config, is_cut_out=False))
            mask = largest_components(whole[-1] > located["threshold"], 1)
            roi = place_roi(mask, size, located["size"], located["rotated"])
            image = roi.cut(image)
        outputs = self._run(image, self._facts["resolution"])
        features = outputs if located is None else outputs[:-1]
        return Patches(features, size, roi)

    def _run(self, image: NDArray[np.uint8], resolution: int) -> list[NDArray[np.float32]]:
        patch = self._facts["patch_size"]
        size = (image.shape[0], image.shape[1])
        height, width = area_sides(size, resolution, patch)
        grid = (height // patch, width // patch)
        inputs = {
            "pixels": normalised(resize(image, height, width)[None]),
            "positions": self._positions(grid),
        }
        return [
            one if one.shape == grid else one.reshape(*grid, -1)
            for one in self._graphs.run("patches", inputs)
        ]


def normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalises images (B, H, W, 3) as the backbone expects them, (B, 3, H, W)."""
    mean, std = (np.array(values, np.float32) for values in (MEAN, STD))
    colours = (images.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(colours.transpose(0, 3, 1, 2))
