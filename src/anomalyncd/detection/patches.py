"""Patch features of images: the vectors that detectors compare, and how they are read."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from anomalyncd.backbone.features import Tokens, patch_reader, whole_reader
from anomalyncd.backbone.pixels import chosen_resolution
from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import FeatureSpace, fit_feature_space
from anomalyncd.detection.roi_locator import RoiLocator, fit_roi_locator
from anomalyncd.detection.tiles import TiledImages
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.component import Component
from anomalyncd.runtime.progress import track

_EIGHTHS = 8


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """The patches of one image or of its region of interest."""

    features: list[Tensor]
    """Unit vectors of the patches for each layer and neighbourhood, (D, rows, columns)."""
    size: tuple[int, int]
    """Height and width of the whole image, px."""
    roi: RegionOfInterest | None
    """The region of interest that the patches cover; None for the whole image."""

    def vectors(self) -> list[Tensor]:
        """Returns the unit vectors for each layer and neighbourhood, (N, D), row by row."""
        return [grid.movedim(0, -1).flatten(0, 1) for grid in self.features]


@dataclass(frozen=True, eq=False)
class PatchExtractor(Component):
    """Turns the tokens of images into patch features."""

    resolution: int
    """Side of a square with the area at which regions of interest enter the backbone, px."""
    roi_locator: RoiLocator | None
    """Locates the region of interest; None takes whole images."""
    space: FeatureSpace
    """Turns tokens into unit vectors."""
    tile_side: int | None = None
    """Side of the tiles in which images are looked at, px; None looks at whole images."""

    def extract(
        self, tokens: Tokens, size: tuple[int, int], roi: RegionOfInterest | None
    ) -> PatchFeatures:
        """Turns the tokens of one image into patch features.

        Args:
            tokens: Tokens of the region of interest.
            size: Height and width of the whole image, px.
            roi: The region of interest; None for the whole image.
        """
        return PatchFeatures(self.space.features(tokens), size, roi)


class PatchReader:
    """Reads the patch features of images, one image at a time.

    Args:
        vit: The backbone, on its device and in its precision.
        extractor: How tokens become patch features.
        config: As the extractor was fitted with.
        cached: Whether tokens are looked up in the cache and stored there.
    """

    def __init__(
        self,
        vit: VisionTransformer,
        extractor: PatchExtractor,
        config: DetectorConfig,
        cached: bool = True,
    ) -> None:
        self.extractor = extractor
        self._reader = patch_reader(vit, extractor.resolution, config, cached)
        self._whole_reader = whole_reader(vit, config, cached)
        self._n_rotations = config.n_rotations

    def read(self, images: ImageSet, index: int) -> PatchFeatures:
        """Reads the patch features of one image.

        Raises:
            InputError: The image cannot be read.
        """
        locator = self.extractor.roi_locator
        if locator is None:
            tokens = self._reader.read(images, index)
            return self.extractor.extract(tokens, tokens.size, None)
        whole = self._whole_reader.read(images, index)
        roi = locator.locate(whole.patches[-1], whole.size)
        return self.extractor.extract(self._reader.read(images, index, roi), whole.size, roi)

    def read_rotated(self, images: ImageSet, index: int) -> list[PatchFeatures]:
        """Reads one image in `config.n_rotations` rotations, unrotated first.

        A region of interest that is rotated with the product is read once.

        Raises:
            InputError: The image cannot be read.
        """
        upright = self.read(images, index)
        locator = self.extractor.roi_locator
        if locator is not None and locator.rotated:
            return [upright]
        height, width = upright.size
        whole = upright.roi or RegionOfInterest((width / 2, height / 2), upright.size)
        rotations = [
            whole.rotated(step * _EIGHTHS // self._n_rotations)
            for step in range(1, self._n_rotations)
        ]
        rotated = [
            self.extractor.extract(self._reader.read(images, index, roi), upright.size, roi)
            for roi in rotations
        ]
        return [upright, *rotated]


def fit_patch_extractor(
    vit: VisionTransformer, images: ImageSet, config: DetectorConfig
) -> tuple[PatchExtractor, list[PatchFeatures]]:
    """Fits the locator of the region of interest and the feature space.

    Args:
        vit: The backbone, on its device and in its precision.
        images: Some images; the tokens of all of them are in memory at once.
        config: Config of the detector.

    Returns:
        The extractor, and the patch features of these images.
    """
    reader = whole_reader(vit, config)
    wholes = [
        reader.read(images, index) for index in track(range(len(images)), "Locating the foreground")
    ]
    sizes = [tokens.size for tokens in wholes]
    locator = None
    tile_side = images.side if isinstance(images, TiledImages) else None
    if config.roi == "foreground" and tile_side is None:
        locator = fit_roi_locator([tokens.patches[-1] for tokens in wholes], sizes)
    rois: list[RegionOfInterest | None] = [None] * len(images)
    if locator is not None:
        rois = [locator.locate(tokens.patches[-1], tokens.size) for tokens in wholes]
    areas = [size if roi is None else roi.size for roi, size in zip(rois, sizes, strict=True)]
    area = float(np.mean([height * width for height, width in areas]))
    resolution = chosen_resolution(config, area, vit.config.patch_size, locator is not None)
    tokens_of_rois = wholes
    if locator is not None or resolution != reader.reading.resolution:
        reader = patch_reader(vit, resolution, config)
        numbered = track(list(enumerate(rois)), "Reading the foreground")
        tokens_of_rois = [reader.read(images, index, roi) for index, roi in numbered]
    space = fit_feature_space(tokens_of_rois, config)
    extractor = PatchExtractor(resolution, locator, space, tile_side)
    read = zip(tokens_of_rois, sizes, rois, strict=True)
    return extractor, [extractor.extract(tokens, size, roi) for tokens, size, roi in read]
