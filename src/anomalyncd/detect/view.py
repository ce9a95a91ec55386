"""How a detector looks at pictures: what part of them, and as which vectors."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.data.frame import Frame, between_centres
from anomalyncd.data.parts import Parts
from anomalyncd.detect.features import FeatureSpace, fit_feature_space
from anomalyncd.detect.framing import Framing, fit_framing
from anomalyncd.model.pixels import area_sides
from anomalyncd.model.tokens import Reading, TokenReader
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings

_WHOLE, _FRAMED = 336, 504


@dataclass(frozen=True, eq=False)
class View:
    """What a detector looks at in every picture."""

    resolution: int
    """Side of the square with the area at which the backbone is shown it, px."""
    framing: Framing | None
    """Where the product is; None looks at whole pictures."""
    space: FeatureSpace
    """How patches become vectors."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One picture, as a detector sees it."""

    features: list[Tensor]
    """For each layer and neighbourhood the unit vectors of the patches, (D, rows, columns)."""
    size: tuple[int, int]
    """Height and width of the picture, px."""
    frame: Frame | None
    """What the patches show of it; None for all of it."""


class Viewer:
    """Looks at pictures one after the other.

    Args:
        vit: The backbone, on its device and in its precision.
        view: What to look at.
        settings: As the view was made with.
    """

    def __init__(self, vit: VisionTransformer, view: View, settings: DetectorSettings) -> None:
        self.view = view
        self._reader = TokenReader(vit, Reading(view.resolution, settings.layers))
        self._locator = whole_reader(vit, settings)

    def look(self, parts: Parts, index: int) -> Seen:
        """Reads one part.

        Raises:
            InputError: Its file cannot be read.
        """
        framing = self.view.framing
        if framing is None:
            whole = self._reader.read(parts, index)
            return Seen(self.view.space.features(whole), whole.size, None)
        whole = self._locator.read(parts, index)
        frame = framing.frame(whole.patches[-1], whole.size)
        tokens = self._reader.read(parts, index, frame)
        return Seen(self.view.space.features(tokens), whole.size, frame)


def fit_view(
    vit: VisionTransformer, parts: Parts, settings: DetectorSettings
) -> tuple[View, list[Seen]]:
    """Learns from some pictures where the product is and what its patches have in common.

    Args:
        vit: The backbone, on its device and in its precision.
        parts: Some pictures of the product; all their tokens are in memory at once.
        settings: Of the detector.

    Returns:
        The view, and the pictures through it.
    """
    locator = whole_reader(vit, settings)
    wholes = [locator.read(parts, i) for i in track(range(len(parts)), "Looking for the product")]
    framing = None
    if settings.frame == "product":
        framing = fit_framing([one.patches[-1] for one in wholes], [one.size for one in wholes])
    frames: list[Frame | None] = [None] * len(parts)
    if framing is not None:
        frames = [framing.frame(one.patches[-1], one.size) for one in wholes]
    resolution = chosen_resolution(settings, framed=framing is not None)
    pictures = wholes
    if framing is not None:
        reader = TokenReader(vit, Reading(resolution, settings.layers))
        framed = track(list(enumerate(frames)), "Reading the product")
        pictures = [reader.read(parts, i, frame) for i, frame in framed]
    space = fit_feature_space(pictures, settings)
    seen = [
        Seen(space.features(tokens), whole.size, frame)
        for tokens, whole, frame in zip(pictures, wholes, frames, strict=True)
    ]
    return View(resolution, framing, space), seen


def chosen_resolution(settings: DetectorSettings, framed: bool) -> int:
    """The resolution that is set, or what goes with what is looked at.

    Args:
        settings: Of the detector.
        framed: Whether the product is cut out of the pictures.
    """
    return settings.resolution or (_FRAMED if framed else _WHOLE)


def whole_map(scores: NDArray[np.float32], seen: Seen, map_size: int) -> NDArray[np.float32]:
    """Scores of patches as a map of the whole picture.

    Args:
        scores: (rows, columns).
        seen: The picture that they belong to.
        map_size: Side of the square that has the area of the map, px.

    Returns:
        (h, w), with the aspect ratio of the picture. Around the frame it holds the median of the
        scores, which is that of nothing special.
    """
    height, width = area_sides(seen.size, map_size, 1)
    if seen.frame is None:
        whole = cv2.resize(scores, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole, np.float32)
    to_image = np.diag([seen.size[1] / width, seen.size[0] / height, 1.0])
    to_frame = np.linalg.inv(np.vstack([seen.frame.to_image(), [0, 0, 1]]))
    per_patch = (scores.shape[1] / seen.frame.size[1], scores.shape[0] / seen.frame.size[0], 1.0)
    matrix = between_centres((np.diag(per_patch) @ to_frame @ to_image)[:2])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    within = cv2.warpAffine(
        scores, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(np.ones_like(scores), matrix, (width, height), flags=flags) > 0
    return np.where(inside, within, np.float32(np.median(scores))).astype(np.float32)


def stacked(pictures: list[Seen]) -> tuple[Tensor, ...]:
    """For each layer and neighbourhood the vectors of all pictures, (N, D), bfloat16."""
    by_kind = zip(*(seen.features for seen in pictures), strict=True)
    return tuple(
        torch.cat([one.flatten(1).T for one in same_kind]).to(torch.bfloat16)
        for same_kind in by_kind
    )


def whole_reader(vit: VisionTransformer, settings: DetectorSettings) -> TokenReader:
    """Reads whole pictures; the tokens of the last layer tell the product from the background.

    Args:
        vit: The backbone, on its device and in its precision.
        settings: Resolution and layers.
    """
    return TokenReader(vit, Reading(chosen_resolution(settings, framed=False), settings.layers))
