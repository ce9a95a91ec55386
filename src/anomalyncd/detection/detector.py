"""The interface of the built-in detectors, their registry, and the fit of the one that suits."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.memory_bank import MemoryBank, fit_memory_bank
from anomalyncd.detection.mutual_scoring import MutualScoring, fit_mutual_scoring
from anomalyncd.detection.patches import PatchExtractor, fit_patch_extractor
from anomalyncd.detection.tiles import are_elongated, chosen_tile_side
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.component import State


class Detector(Protocol):
    """Scores the patches of an image; a component of the fitted model."""

    kind: ClassVar[str]
    """Name of the detector in a model file and in the record of a run."""

    @property
    def extractor(self) -> PatchExtractor:
        """How images are turned into patch features."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images that its patches come from."""

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Computes the anomaly score of each patch.

        Args:
            features: Unit vectors of the patches, see `PatchFeatures.features`.
            name: Name of the image, which is never compared with itself.

        Returns:
            (rows, columns), float32, on the CPU.
        """

    def state(self) -> State:
        """See `Component.state`."""


DETECTORS: Mapping[str, type[MemoryBank] | type[MutualScoring]] = {
    detector.kind: detector for detector in (MemoryBank, MutualScoring)
}
"""The built-in detectors by kind."""


def tile_side_of(
    vit: VisionTransformer, images: ImageSet, sizes: NDArray[np.int64], config: DetectorConfig
) -> int | None:
    """Returns the side of the tiles in which images are looked at, px; None for whole images.

    Large photographs of a product on a plain background are not cut into tiles, since the product
    is cut out of them; line scans and strips are.

    Args:
        vit: The backbone, on its device and in its precision.
        images: The images.
        sizes: Height and width of each image, (N, 2), px.
        config: Config of the detector.
    """
    side = chosen_tile_side(sizes, config)
    if side is None or config.tile is not None or config.roi == "image" or are_elongated(sizes):
        return side
    few = images.select(np.linspace(0, len(images) - 1, min(8, len(images))).astype(int).tolist())
    return side if fit_patch_extractor(vit, few, config)[0].roi_locator is None else None


def fit_detector(
    vit: VisionTransformer,
    images: ImageSet,
    normals: ImageSet | None,
    config: DetectorConfig,
    seed: int,
) -> Detector:
    """Fits a memory bank to the normal images, or mutual scoring if there are none.

    Args:
        vit: The backbone, on its device and in its precision.
        images: The images that will be scored.
        normals: Normal images, or None.
        config: Config of the detector.
        seed: Seed of all random draws.

    Raises:
        InputError: There are neither normal images nor two images.
    """
    if normals is not None:
        return fit_memory_bank(vit, normals, config, seed)
    return fit_mutual_scoring(vit, images, config, seed)


def detector_warnings(detector: Detector | None) -> list[str]:
    """Lists what a person should know about the maps of a detector; nothing without a detector."""
    if isinstance(detector, MutualScoring) and detector.frequent_kinds is not None:
        return [str(detector.frequent_kinds)]
    return []
