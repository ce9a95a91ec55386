"""How a detector looks at pictures: what part of them, and as which vectors."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.features import Tokens, _reader, whole_reader
from anomalyncd.backbone.pixels import chosen_resolution
from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import FeatureSpace, fit_feature_space, grid_positions
from anomalyncd.detection.roi_locator import RoiLocator, fit_roi_locator
from anomalyncd.foreground.principal_component import PrincipalComponent, fit_principal_component
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.runtime.progress import track


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """One picture, as a detector sees it."""

    features: list[Tensor]
    """For each layer and neighbourhood the unit vectors of the patches, (D, rows, columns)."""
    size: tuple[int, int]
    """Height and width of the picture, px."""
    frame: RegionOfInterest | None
    """What the patches show of it; None for all of it."""
    product: NDArray[np.bool_] | None = None
    """Which patches show the product, (rows, columns); None where the background is kept."""
    cls: Tensor | None = None
    """The CLS token, (D,), float32, on the CPU, where image scores are re-ranked."""

    def vectors(self) -> list[Tensor]:
        """For each layer and neighbourhood the unit vectors of what is not masked, (N, D)."""
        return [self.unmasked(one.movedim(0, -1)) for one in self.features]

    def positions(self) -> Tensor:
        """Where the patches of `vectors` lie, (N, 2); see `grid_positions`."""
        rows, columns = self.features[0].shape[1:]
        return self.unmasked(grid_positions(rows, columns).view(rows, columns, 2))

    def unmasked(self, patches: Tensor) -> Tensor:
        """What is not masked, (N, ...), of something a patch, (rows, columns, ...)."""
        flat = patches.flatten(0, 1)
        if self.product is None:
            return flat
        return flat[torch.from_numpy(self.product.ravel()).to(flat.device)]


@dataclass(frozen=True, eq=False)
class PatchExtractor:
    """What a detector looks at in every picture."""

    resolution: int
    """Side of the square with the area at which the backbone is shown it, px."""
    framing: RoiLocator | None
    """Where the product is; None looks at whole pictures."""
    space: FeatureSpace
    """How patches become vectors."""
    product: PrincipalComponent | None = None
    """Tells the product from the background, which is masked; None keeps it."""

    def seen(
        self, tokens: Tokens, size: tuple[int, int], frame: RegionOfInterest | None
    ) -> PatchFeatures:
        """A picture through this view.

        Args:
            tokens: Of what is looked at.
            size: Height and width of the whole picture, px.
            frame: What is looked at; None for all of it.
        """
        cls = tokens.cls[0].float().cpu() if tokens.cls else None
        return PatchFeatures(self.space.features(tokens), size, frame, self._product(tokens), cls)

    def _product(self, tokens: Tokens) -> NDArray[np.bool_] | None:
        """The product and a patch around it; None where the background is kept, or is all."""
        if self.product is None:
            return None
        mask = self.product.mask(tokens.patches[-1]).astype(np.uint8)
        return cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0 if mask.any() else None


_EIGHTHS = 8


class PatchReader:
    """Looks at pictures one after the other.

    Args:
        vit: The backbone, on its device and in its precision.
        view: What to look at.
        config: As the view was made with.
    """

    def __init__(
        self, vit: VisionTransformer, view: PatchExtractor, config: DetectorConfig
    ) -> None:
        self.view = view
        self._reader = _reader(vit, view.resolution, config)
        self._locator = whole_reader(vit, config)
        self._n_poses = config.n_rotations

    def look(self, images: ImageSet, index: int) -> PatchFeatures:
        """Reads one image.

        Raises:
            InputError: Its file cannot be read.
        """
        framing = self.view.framing
        if framing is None:
            tokens = self._reader.read(images, index)
            return self.view.seen(tokens, tokens.size, None)
        whole = self._locator.read(images, index)
        frame = framing.frame(whole.patches[-1], whole.size)
        return self.view.seen(self._reader.read(images, index, frame), whole.size, frame)

    def look_in_all_poses(self, images: ImageSet, index: int) -> list[PatchFeatures]:
        """Reads one image in as many poses as are set, the one that it lies in first.

        Raises:
            InputError: Its file cannot be read.
        """
        seen = self.look(images, index)
        framing = self.view.framing
        if framing is not None and framing.turned:
            return [seen]
        (height, width) = seen.size
        upright = seen.frame or RegionOfInterest((width / 2, height / 2), seen.size)
        frames = [
            upright.rotated(pose * _EIGHTHS // self._n_poses) for pose in range(1, self._n_poses)
        ]
        return [
            seen,
            *(
                self.view.seen(self._reader.read(images, index, one), seen.size, one)
                for one in frames
            ),
        ]


def fit_view(
    vit: VisionTransformer, images: ImageSet, config: DetectorConfig
) -> tuple[PatchExtractor, list[PatchFeatures]]:
    """Learns from some pictures where the product is and what its patches have in common.

    Args:
        vit: The backbone, on its device and in its precision.
        images: Some pictures of the product; all their tokens are in memory at once.
        config: Of the detector.

    Returns:
        The view, and the pictures through it.
    """
    locator = whole_reader(vit, config)
    wholes = [locator.read(images, i) for i in track(range(len(images)), "Looking for the product")]
    sizes = [one.size for one in wholes]
    framing = None
    if config.frame == "product":
        framing = fit_roi_locator([one.patches[-1] for one in wholes], sizes)
    frames: list[RegionOfInterest | None] = [None] * len(images)
    if framing is not None:
        frames = [framing.frame(one.patches[-1], one.size) for one in wholes]
    shown = [
        size if frame is None else frame.size for frame, size in zip(frames, sizes, strict=True)
    ]
    area = float(np.mean([height * width for height, width in shown]))
    resolution = chosen_resolution(config, area, vit.config.patch_size, framing is not None)
    pictures = wholes
    if framing is not None or resolution != locator.reading.resolution:
        reader = _reader(vit, resolution, config)
        looked_at = track(list(enumerate(frames)), "Reading the product")
        pictures = [reader.read(images, i, frame) for i, frame in looked_at]
    product = None
    if config.background == "masked":
        product = fit_principal_component([one.patches[-1] for one in pictures])
    view = PatchExtractor(resolution, framing, fit_feature_space(pictures, config), product)
    seen = zip(pictures, sizes, frames, strict=True)
    return view, [view.seen(tokens, size, frame) for tokens, size, frame in seen]
