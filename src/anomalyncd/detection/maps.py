"""Anomaly maps, drawn from the scores of patches and written to a folder."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.pixels import area_sides
from anomalyncd.backbone.roi import between_centres
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.stitching import Stitched
from anomalyncd.detection.tiles import TiledImages, tiled
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.io.arrays import as_read_back, write_map
from anomalyncd.io.key import keep_only_files_of, key_of_version
from anomalyncd.runtime.engine import Engine, ThisProcess
from anomalyncd.runtime.progress import track

if TYPE_CHECKING:
    from anomalyncd.backbone.vit import VisionTransformer
    from anomalyncd.detection.detector import Detector
    from anomalyncd.detection.patches import PatchFeatures, PatchReader


def write_anomaly_maps(
    vit: "VisionTransformer",
    images: ImageSet,
    detector: "Detector",
    config: DetectorConfig,
    folder: Path | None,
    engine: Engine | None = None,
) -> AnomalyMaps:
    """Scores every image and writes its map as `folder/NAME.npy`, float16.

    Maps that are in the folder already are used, so that an interrupted run goes on where it
    stopped; maps of other images, of another detector or with another config are replaced.

    Args:
        vit: The backbone, on its device and in its precision.
        images: The images.
        detector: The detector.
        config: As the detector was fitted with.
        folder: The folder; it is created if it does not exist. None keeps the maps in memory, with
            the values that their files would have, and caches no tokens.
        engine: Makes the maps of a folder, which all its workers see; None makes them here.

    Returns:
        The maps, in the order of the images.

    Raises:
        InputError: The folder holds maps that were not made here.
    """
    from anomalyncd.detection.patches import PatchReader

    if folder is None:
        reader = PatchReader(vit, detector.extractor, config, cached=False)
        scored = (map_of(reader, images, index, detector, config) for index in range(len(images)))
        return AnomalyMaps(images.names, tuple(as_read_back(scores) for scores in scored))
    made_from = key_of_version(images.names, images.sources, images.levels, detector, config)
    keep_only_files_of(made_from, folder, frozenset({".npy"}), "map")
    paths = tuple(folder / f"{name}.npy" for name in images.names)
    missing = [index for index, path in enumerate(paths) if not path.is_file()]
    if missing:
        make = partial(_MapWriter, vit, images, detector, config, folder.absolute())
        written = (engine or ThisProcess()).map(make, missing)
        for _ in track(written, "Scoring images", len(missing)):
            pass
    return AnomalyMaps(images.names, paths)


class _MapWriter:
    """Scores an image and writes its map; as `write_anomaly_maps`."""

    def __init__(
        self,
        vit: "VisionTransformer",
        images: ImageSet,
        detector: "Detector",
        config: DetectorConfig,
        folder: Path,
    ) -> None:
        from anomalyncd.detection.patches import PatchReader

        self._images, self._detector, self._config = images, detector, config
        self._folder = folder
        self._reader = PatchReader(vit, detector.extractor, config)

    def __call__(self, index: int) -> None:
        scores = map_of(self._reader, self._images, index, self._detector, self._config)
        write_map(self._folder / f"{self._images.names[index]}.npy", scores)


def map_of(
    reader: "PatchReader",
    images: ImageSet,
    index: int,
    detector: "Detector",
    config: DetectorConfig,
) -> NDArray[np.float32]:
    """Computes the anomaly map of one image of a set, from its tiles where the detector has some.

    Args:
        reader: Reads the patch features.
        images: The images.
        index: Index of the image.
        detector: The detector; it may work with arrays in place of tensors, if the reader does.
        config: As the detector was fitted with.

    Returns:
        See `anomaly_map` and `tiled_map`.
    """
    if detector.extractor.tile_side is not None:
        return tiled_map(reader, images.select([index]), detector, config)
    features = reader.read(images, index)
    return anomaly_map(features, detector, config, images.names[index])


def anomaly_map(
    features: "PatchFeatures", detector: "Detector", config: DetectorConfig, name: str
) -> NDArray[np.float32]:
    """Computes the anomaly map of one image.

    Args:
        features: Patch features of the image.
        detector: The detector that scores them.
        config: As the detector was fitted with.
        name: Name of the image, which is never compared with itself.

    Returns:
        Scores 0..2, (h, w), float32, with the aspect ratio of the image and about
        `config.map_size`² pixels, or with the size of the image.
    """
    scores = _smooth_scores(features, detector, config, name)
    return whole_map(scores, features, config.map_size)


def _smooth_scores(
    features: "PatchFeatures", detector: "Detector", config: DetectorConfig, name: str
) -> NDArray[np.float32]:
    scores = np.asarray(detector.patch_scores(features.features, name))
    if not config.smoothing:
        return scores
    return np.asarray(cv2.GaussianBlur(scores, (0, 0), config.smoothing), np.float32)


def tiled_map(
    reader: "PatchReader", image: ImageSet, detector: "Detector", config: DetectorConfig
) -> NDArray[np.float32]:
    """Computes the anomaly map of one image from those of its tiles.

    Args:
        reader: Reads the patch features of a tile.
        image: The image alone.
        detector: The detector, with the side of its tiles.
        config: As the detector was fitted with.

    Returns:
        Scores 0..2, (h, w), float32, with `config.map_size` pixels along the side of a tile, or
        with the size of the image.
    """
    side = detector.extractor.tile_side
    tiles = tiled(image, side)
    assert isinstance(tiles, TiledImages)
    last = tiles.tiles[-1]
    size = (last.top + last.height, last.left + last.width)
    scale = 1.0 if config.map_size is None else config.map_size / tiles.side
    stitched = Stitched(size, scale, tiles.side)
    for index, (tile, name) in enumerate(zip(tiles.tiles, tiles.names, strict=True)):
        features = reader.read(tiles, index)
        stitched.add(_smooth_scores(features, detector, config, name), tile)
    return stitched.scores()


def whole_map(
    scores: NDArray[np.float32], features: "PatchFeatures", map_size: int | None
) -> NDArray[np.float32]:
    """Draws the scores of patches as a map of the whole image.

    Args:
        scores: (rows, columns).
        features: The image and its region of interest.
        map_size: Side of a square with the area of the map, px; None takes the size of the image.

    Returns:
        (h, w), float32, with the aspect ratio of the image. Pixels outside the region of interest
        have the median of the scores.
    """
    size, roi = features.size, features.roi
    height, width = size if map_size is None else area_sides(size, map_size, 1)
    if roi is None:
        whole = cv2.resize(scores, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole, np.float32)
    to_image = np.diag([size[1] / width, size[0] / height, 1.0])
    to_roi = np.linalg.inv(np.vstack([roi.to_image(), [0, 0, 1]]))
    per_patch = (scores.shape[1] / roi.size[1], scores.shape[0] / roi.size[0], 1.0)
    matrix = between_centres((np.diag(per_patch) @ to_roi @ to_image)[:2])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(
        scores, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(np.ones_like(scores), matrix, (width, height), flags=flags) > 0
    return np.where(inside, drawn, np.float32(np.median(scores))).astype(np.float32)
