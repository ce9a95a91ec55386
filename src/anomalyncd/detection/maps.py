"""Scores of patches, drawn as a map of the whole picture."""

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.backbone.pixels import area_sides
from anomalyncd.backbone.roi import between_centres
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import Detector
from anomalyncd.detection.patches import PatchFeatures, PatchReader
from anomalyncd.detection.reranking import reranked
from anomalyncd.detection.state import described, tensors_of
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.map_files import read_map, write_map
from anomalyncd.io.key import fingerprint, keep_only_files_of
from anomalyncd.runtime.progress import track


def anomaly_map(
    seen: PatchFeatures, detector: Detector, config: DetectorConfig, name: str
) -> NDArray[np.float32]:
    """The anomaly map of one image.

    Args:
        seen: The image, seen through the detector's view.
        detector: What scores it.
        config: As the detector was made with.
        name: Of the image, which is never compared with itself.

    Returns:
        Scores 0..2, (h, w), with the aspect ratio of the image and `config.map_size`² pixels, or
        of the size of the image; 0 where the background is masked.
    """
    scores = detector.patch_scores(seen.features, name).numpy()
    shown = 1 if seen.product is None else seen.product
    smooth = shown * cv2.GaussianBlur(shown * scores, (0, 0), config.smoothing)
    return whole_map(np.asarray(smooth, np.float32), seen, config.map_size)


def whole_map(
    scores: NDArray[np.float32], seen: PatchFeatures, map_size: int | None
) -> NDArray[np.float32]:
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


# Hidden, so that no image can be named so, and what is in there counts as no map.
_NOT_RERANKED = ".not_reranked"


def write_anomaly_maps(
    vit: VisionTransformer,
    images: ImageSet,
    detector: Detector,
    config: DetectorConfig,
    folder: Path,
) -> AnomalyMaps:
    """Scores every image and writes its map as `folder/NAME.npy`, float16.

    Maps that are there already are kept, so that an interrupted run goes on where it stopped;
    those made from other images, by another detector or with other settings are made again.
    Re-ranking scales each map so that its maximum, ignored places included, is the new score.

    Returns:
        The maps, in the order of the images.

    Raises:
        InputError: The folder holds maps that were not made here.
    """
    origin = _origin(images, detector, config)
    if not keep_only_files_of(origin, folder, frozenset({".npy"}), "map"):
        shutil.rmtree(folder / _NOT_RERANKED, ignore_errors=True)
    paths = tuple(folder / f"{name}.npy" for name in images.names)
    missing = [index for index, path in enumerate(paths) if not path.is_file()]
    viewer = PatchReader(vit, detector.view, config)
    if config.rerank and missing:
        _write_reranked(viewer, images, detector, config, folder, paths)
    elif missing:
        for index in track(missing, "Scoring images"):
            seen = viewer.look(images, index)
            write_map(paths[index], anomaly_map(seen, detector, config, images.names[index]))
    return AnomalyMaps(images.names, paths)


def _write_reranked(
    viewer: PatchReader,
    images: ImageSet,
    detector: Detector,
    config: DetectorConfig,
    folder: Path,
    paths: tuple[Path, ...],
) -> None:
    """Writes the maps that are missing; those of all images lie in a hidden folder meanwhile."""
    before = folder / _NOT_RERANKED
    cls, peaks = [], np.zeros(len(images), np.float32)
    for index, name in enumerate(track(images.names, "Scoring images")):
        seen, path = viewer.look(images, index), before / f"{name}.npy"
        if not path.is_file():
            write_map(path, anomaly_map(seen, detector, config, name))
        assert seen.cls is not None
        cls.append(seen.cls)
        peaks[index] = read_map(path).max()
    scores = reranked(peaks, torch.stack(cls), config.rerank)
    for name, path, old, new in zip(images.names, paths, peaks, scores, strict=True):
        if not path.is_file():
            write_map(path, read_map(before / f"{name}.npy") * (new / old if old > 0 else 1))
    shutil.rmtree(before)


def _origin(images: ImageSet, detector: Detector, config: DetectorConfig) -> dict[str, Any]:
    """Everything that maps depend on; what is compared with stands for backbone and seed."""
    compared = hashlib.sha256(repr(described(detector)).encode())
    for tensor in tensors_of(detector).values():
        compared.update(tensor.cpu().contiguous().view(torch.uint8).numpy().data)
    return {
        "config": asdict(config),
        "detector": compared.hexdigest(),
        "images": fingerprint((*images.names, *images.sources)),
    }
