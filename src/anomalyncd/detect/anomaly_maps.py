"""Anomaly maps of parts, written by any of the built-in detectors."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.data.fingerprint import fingerprint
from anomalyncd.data.made_files import keep_only_files_of
from anomalyncd.data.map_files import write_map
from anomalyncd.data.maps import Maps
from anomalyncd.data.parts import Parts
from anomalyncd.detect.detector import Detector
from anomalyncd.detect.state import described, tensors_of
from anomalyncd.detect.view import Seen, Viewer, whole_map
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings


def write_anomaly_maps(
    vit: VisionTransformer,
    parts: Parts,
    detector: Detector,
    settings: DetectorSettings,
    folder: Path,
) -> Maps:
    """Scores every part and writes its map as `folder/NAME.npy`, float16.

    Maps that are there already are kept, so that an interrupted run goes on where it stopped;
    those made from other parts, by another detector or with other settings are made again.

    Returns:
        The maps, in the order of the parts.

    Raises:
        InputError: The folder holds maps that were not made here.
    """
    origin = _origin(parts, detector, settings)
    keep_only_files_of(origin, folder, frozenset({".npy"}), "map")
    viewer = Viewer(vit, detector.view, settings)
    paths = tuple(folder / f"{name}.npy" for name in parts.names)
    for index, path in enumerate(track(paths, "Scoring parts")):
        if not path.is_file():
            seen = viewer.look(parts, index)
            write_map(path, anomaly_map(seen, detector, settings, parts.names[index]))
    return Maps(parts.names, paths)


def _origin(parts: Parts, detector: Detector, settings: DetectorSettings) -> dict[str, Any]:
    """Everything that maps depend on; what is compared with stands for backbone and seed."""
    compared = hashlib.sha256(repr(described(detector)).encode())
    for tensor in tensors_of(detector).values():
        compared.update(tensor.cpu().contiguous().view(torch.uint8).numpy().data)
    return {
        "settings": asdict(settings),
        "detector": compared.hexdigest(),
        "parts": fingerprint((*parts.names, *parts.sources)),
    }


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
        Scores 0..2, (h, w), with the aspect ratio of the image and `settings.map_size`² pixels.
    """
    scores = detector.patch_scores(seen.features, name).numpy()
    smooth = cv2.GaussianBlur(scores, (0, 0), settings.smoothing)
    return whole_map(np.asarray(smooth, np.float32), seen, settings.map_size)
