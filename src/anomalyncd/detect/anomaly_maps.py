"""Anomaly maps of parts, written by any of the built-in detectors."""

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anomalyncd.data.fingerprint import fingerprint
from anomalyncd.data.made_files import keep_only_files_of
from anomalyncd.data.map_files import read_map, write_map
from anomalyncd.data.maps import Maps
from anomalyncd.data.parts import Parts
from anomalyncd.detect.detector import Detector
from anomalyncd.detect.drawing import anomaly_map
from anomalyncd.detect.reranking import reranked
from anomalyncd.detect.state import described, tensors_of
from anomalyncd.detect.viewer import Viewer
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings

# Hidden, so that no part can be named so, and what is in there counts as no map.
_NOT_RERANKED = ".not_reranked"


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
    Re-ranking scales each map so that its maximum, ignored places included, is the new score.

    Returns:
        The maps, in the order of the parts.

    Raises:
        InputError: The folder holds maps that were not made here.
    """
    origin = _origin(parts, detector, settings)
    if not keep_only_files_of(origin, folder, frozenset({".npy"}), "map"):
        shutil.rmtree(folder / _NOT_RERANKED, ignore_errors=True)
    paths = tuple(folder / f"{name}.npy" for name in parts.names)
    missing = [index for index, path in enumerate(paths) if not path.is_file()]
    viewer = Viewer(vit, detector.view, settings)
    if settings.rerank and missing:
        _write_reranked(viewer, parts, detector, settings, folder, paths)
    elif missing:
        for index in track(missing, "Scoring parts"):
            seen = viewer.look(parts, index)
            write_map(paths[index], anomaly_map(seen, detector, settings, parts.names[index]))
    return Maps(parts.names, paths)


def _write_reranked(
    viewer: Viewer,
    parts: Parts,
    detector: Detector,
    settings: DetectorSettings,
    folder: Path,
    paths: tuple[Path, ...],
) -> None:
    """Writes the maps that are missing; those of all parts lie in a hidden folder meanwhile."""
    before = folder / _NOT_RERANKED
    cls, peaks = [], np.zeros(len(parts), np.float32)
    for index, name in enumerate(track(parts.names, "Scoring parts")):
        seen, path = viewer.look(parts, index), before / f"{name}.npy"
        if not path.is_file():
            write_map(path, anomaly_map(seen, detector, settings, name))
        assert seen.cls is not None
        cls.append(seen.cls)
        peaks[index] = read_map(path).max()
    scores = reranked(peaks, torch.stack(cls), settings.rerank)
    for name, path, old, new in zip(parts.names, paths, peaks, scores, strict=True):
        if not path.is_file():
            write_map(path, read_map(before / f"{name}.npy") * (new / old if old > 0 else 1))
    shutil.rmtree(before)


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
