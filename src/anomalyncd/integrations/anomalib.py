"""Writes the anomaly maps of any anomalib 2.x model as a discovery reads them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import as_image_set
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.io.arrays import to_map, write_map
from anomalyncd.io.files import refuse_unwritable_names
from anomalyncd.io.writing import refuse_unwritable
from anomalyncd.runtime.wording import counted

_LARGEST = float(np.finfo(np.float16).max)


def write_maps(predictions: object, folder: str | Path, images: ImagesLike) -> None:
    """Writes anomalib's predictions as `folder/NAME.npy`, float16, one for each image.

    The scores are written unchanged. Create the model with `post_processor=False`, because anomalib
    otherwise rescales the scores and clips them to 0..1. anomalib itself is not imported.

    Args:
        predictions: The result of `Engine.predict`: batches, or a list of batches for each data
            loader. Each batch has `image_path` (N paths) and `anomaly_map` (NxHxW or Nx1xHxW,
            tensor or array) as attributes or keys.
        folder: Folder for the maps, made where it is missing. Maps of the same name are replaced.
        images: The images as `AnomalyNCD.fit` takes them, which gives the maps their names: a
            folder, a manifest or an `ImageSet`. For maps of normal images, the normal images.

    Raises:
        InputError: There are no predictions, a batch has no maps or no paths, a predicted image is
            not among the images or was predicted twice, or a map has NaN, infinite values or values
            beyond +-65504.

    Source: our own.
    """
    batches = [] if predictions is None else list(_batches(predictions))
    if not batches:
        raise InputError(
            "there are no predictions; call Engine.predict with return_predictions=True"
        )
    writer = BatchWriter(folder, images)
    for batch in batches:
        writer.write(batch)


class BatchWriter:
    """Writes the maps of batches one at a time; see `write_maps`.

    Args:
        folder: See `write_maps`.
        images: See `write_maps`; they are read at once.
    """

    def __init__(self, folder: str | Path, images: ImagesLike) -> None:
        self._folder = Path(folder).expanduser()
        refuse_unwritable(self._folder)
        opened = as_image_set(images)
        refuse_unwritable_names(opened.names)
        pairs = zip(opened.sources, opened.names, strict=True)
        # anomalib resolves links before it returns paths.
        self._names = {path.resolve(): name for path, name in pairs if isinstance(path, Path)}
        self._where = f" under '{opened.root}'" if opened.root else ""
        self._written: set[str] = set()

    def write(self, batch: object) -> None:
        """Writes the maps of a batch.

        Args:
            batch: See `write_maps`.

        Raises:
            InputError: See `write_maps`.
        """
        for path, scores in _images(batch):
            name = self._names.get(path.resolve())
            if name is None:
                raise InputError(
                    f"image '{path}' is not among the images{self._where}; "
                    "give the predicted images as `images`"
                )
            if name in self._written:
                raise InputError(f"image '{path}' was predicted twice; predict each image once")
            values = to_map(scores, f"the map of image '{path}'")
            if np.abs(values).max() > _LARGEST:
                raise InputError(
                    f"the map of image '{path}' goes beyond +-{_LARGEST:.0f}; "
                    "divide the maps of all images by the same number"
                )
            write_map(self._folder / f"{name}.npy", values)
            self._written.add(name)

    def start_again(self) -> None:
        """Allows every image to be written once more."""
        self._written.clear()


def _batches(predictions: object) -> Iterator[object]:
    if isinstance(predictions, list | tuple) and not hasattr(predictions, "anomaly_map"):
        for item in predictions:
            yield from _batches(item)
    else:
        yield predictions


def _images(batch: object) -> Iterator[tuple[Path, Any]]:
    """Yields the path and the scores of each image of a batch."""
    paths, maps = _field(batch, "image_path"), _field(batch, "anomaly_map")
    if isinstance(paths, str | Path):
        paths = [paths]
    if not isinstance(paths, list | tuple) or not paths or None in paths:
        raise InputError(
            f"a prediction of type {type(batch).__name__} has no image_path; "
            "give the result of Engine.predict for images from files"
        )
    if not isinstance(maps, torch.Tensor | np.ndarray):
        raise InputError(
            f"image '{paths[0]}' was predicted without an anomaly_map; "
            "use a model that scores every pixel"
        )
    if len(paths) == 1:
        maps = maps[None]
    if len(maps) != len(paths):
        raise InputError(
            f"the batch of image '{paths[0]}' has {counted(len(paths), 'image')} and "
            f"{counted(len(maps), 'map')}; "
            "give one map for each image"
        )
    yield from zip(map(Path, paths), maps, strict=True)


def _field(batch: object, name: str) -> Any:
    return batch.get(name) if isinstance(batch, Mapping) else getattr(batch, name, None)
