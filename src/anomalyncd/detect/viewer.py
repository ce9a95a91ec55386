"""Looks at pictures through a view, and learns the view from some of them."""

import numpy as np

from anomalyncd.data.frame import Frame
from anomalyncd.data.parts import Parts
from anomalyncd.detect.features import fit_feature_space
from anomalyncd.detect.framing import fit_framing
from anomalyncd.detect.product import find_product
from anomalyncd.detect.resolution import chosen_resolution, least_resolution
from anomalyncd.detect.view import Seen, View
from anomalyncd.model.tokens import Reading, TokenReader
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings

_EIGHTHS = 8


class Viewer:
    """Looks at pictures one after the other.

    Args:
        vit: The backbone, on its device and in its precision.
        view: What to look at.
        settings: As the view was made with.
    """

    def __init__(self, vit: VisionTransformer, view: View, settings: DetectorSettings) -> None:
        self.view = view
        self._reader = _reader(vit, view.resolution, settings)
        self._locator = whole_reader(vit, settings)
        self._n_poses = settings.rotations

    def look(self, parts: Parts, index: int) -> Seen:
        """Reads one part.

        Raises:
            InputError: Its file cannot be read.
        """
        framing = self.view.framing
        if framing is None:
            tokens = self._reader.read(parts, index)
            return self.view.seen(tokens, tokens.size, None)
        whole = self._locator.read(parts, index)
        frame = framing.frame(whole.patches[-1], whole.size)
        return self.view.seen(self._reader.read(parts, index, frame), whole.size, frame)

    def look_in_all_poses(self, parts: Parts, index: int) -> list[Seen]:
        """Reads one part in as many poses as are set, the one that it lies in first.

        Raises:
            InputError: Its file cannot be read.
        """
        seen = self.look(parts, index)
        framing = self.view.framing
        if framing is not None and framing.turned:
            return [seen]
        (height, width) = seen.size
        upright = seen.frame or Frame((width / 2, height / 2), seen.size)
        frames = [
            upright.rotated(pose * _EIGHTHS // self._n_poses) for pose in range(1, self._n_poses)
        ]
        return [
            seen,
            *(
                self.view.seen(self._reader.read(parts, index, one), seen.size, one)
                for one in frames
            ),
        ]


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
    sizes = [one.size for one in wholes]
    framing = None
    if settings.frame == "product":
        framing = fit_framing([one.patches[-1] for one in wholes], sizes)
    frames: list[Frame | None] = [None] * len(parts)
    if framing is not None:
        frames = [framing.frame(one.patches[-1], one.size) for one in wholes]
    shown = [
        size if frame is None else frame.size for frame, size in zip(frames, sizes, strict=True)
    ]
    area = float(np.mean([height * width for height, width in shown]))
    resolution = chosen_resolution(settings, area, vit.config.patch_size, framing is not None)
    pictures = wholes
    if framing is not None or resolution != locator.reading.resolution:
        reader = _reader(vit, resolution, settings)
        looked_at = track(list(enumerate(frames)), "Reading the product")
        pictures = [reader.read(parts, i, frame) for i, frame in looked_at]
    product = None
    if settings.background == "masked":
        product = find_product([one.patches[-1] for one in pictures])
    view = View(resolution, framing, fit_feature_space(pictures, settings), product)
    seen = zip(pictures, sizes, frames, strict=True)
    return view, [view.seen(tokens, size, frame) for tokens, size, frame in seen]


def _reader(vit: VisionTransformer, resolution: int, settings: DetectorSettings) -> TokenReader:
    cls_layers = settings.layers[-1:] if settings.rerank else ()
    return TokenReader(vit, Reading(resolution, settings.layers, cls_layers))


def whole_reader(vit: VisionTransformer, settings: DetectorSettings) -> TokenReader:
    """Reads whole pictures; the tokens of the last layer tell the product from the background.

    Args:
        vit: The backbone, on its device and in its precision.
        settings: Resolution and layers.
    """
    return _reader(vit, least_resolution(settings, framed=False), settings)
