"""Scores of patches, drawn as a map of the whole picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.frame import between_centres
from anomalyncd.detect.detector import Detector
from anomalyncd.detect.view import Seen
from anomalyncd.model.pixels import area_sides
from anomalyncd.settings import DetectorSettings


def anomaly_map(
    seen: Seen, detector: Detector, settings: DetectorSettings, name: str
) -> NDArray[np.float32]:
    """The anomaly map of one image.

    Args:
        seen: The image, seen through the detector's view.
        detector: What scores it.
        settings: As the detector was made with.
        name: Of the image, which is never compared with itself.

    Returns:
        Scores 0..2, (h, w), with the aspect ratio of the image and `settings.map_size`² pixels, or
        of the size of the image; 0 where the background is masked.
    """
    scores = detector.patch_scores(seen.features, name).numpy()
    shown = 1 if seen.product is None else seen.product
    smooth = shown * cv2.GaussianBlur(shown * scores, (0, 0), settings.smoothing)
    return whole_map(np.asarray(smooth, np.float32), seen, settings.map_size)


def whole_map(scores: NDArray[np.float32], seen: Seen, map_size: int | None) -> NDArray[np.float32]:
    """Scores of patches as a map of the whole picture.

    Args:
        scores: (rows, columns).
        seen: The picture that they belong to.
        map_size: Side of the square that has the area of the map, px; None for that of the picture.

    Returns:
        (h, w), with the aspect ratio of the picture. Around the frame it holds the median of the
        scores, which is that of nothing special, or 0 where the background is masked.
    """
    height, width = seen.size if map_size is None else area_sides(seen.size, map_size, 1)
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
    around = np.float32(np.median(scores) if seen.product is None else 0)
    return np.where(inside, within, around).astype(np.float32)
