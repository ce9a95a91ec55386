"""The anomaly maps of any anomalib 2.x model, written as `--maps` takes them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import as_image_set
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.inputs.anomaly_maps import to_map, write_map
from anomalyncd.io.files import refuse_file, refuse_unwritable_names

_LARGEST = float(np.finfo(np.float16).max)


def write_maps(predictions: object, folder: str | Path, images: ImagesLike) -> None:
    """Writes anomalib's predictions as `folder/NAME.npy`, float16, one for each image.

    The scores are written as they come. Make the model with `post_processor=False`, or anomalib
    rescales them and cuts them off at 0 and 1. anomalib itself is not imported.

    Args:
        predictions: What `Engine.predict` returns: batches, or a list of them for each data loader.
            Of each batch `image_path` (N paths) and `anomaly_map` (NxHxW or Nx1xHxW, tensor or
            array) are read, be they attributes or keys.
        folder: Where the maps go; missing folders are made, maps of the same name replaced.
        images: What `fit` is given: the folder or manifest of the images, or `ImageSet`. Names follow
            from it. For images of normal images, what is given as `normals`.

    Raises:
        InputError: Nothing was predicted, a batch has no maps or no paths, an image is none of the
            images or comes twice, or a map is NaN, infinite or beyond +-65504.

    Source: our own.
    """
    batches = [] if predictions is None else list(_batches(predictions))
    if not batches:
        raise InputError("there are no predictions; let Engine.predict return them")
    writer = BatchWriter(folder, images)
    for batch in batches:
        writer.write(batch)


class BatchWriter:
    """Writes the maps of one batch after the other; see `write_maps`."""

    def __init__(self, folder: str | Path, images: ImagesLike) -> None:
        self._folder = Path(folder).expanduser()
        refuse_file(self._folder)
        opened = as_image_set(images)
        refuse_unwritable_names(opened.names)
        pairs = zip(opened.sources, opened.names, strict=True)
        # anomalib follows links before it hands paths on.
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
                    f"image '{path}' is none of the images{self._where}; "
                    "give the folder whose images were predicted"
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
        """Lets every image come once more."""
        self._written.clear()


def _batches(predictions: object) -> Iterator[object]:
    if isinstance(predictions, list | tuple) and not hasattr(predictions, "anomaly_map"):
        for item in predictions:
            yield from _batches(item)
    else:
        yield predictions


def _images(batch: object) -> Iterator[tuple[Path, Any]]:
    """The path and the scores of each image of a batch."""
    given, maps = _field(batch, "image_path"), _field(batch, "anomaly_map")
    paths = [given] if isinstance(given, str | Path) else given
    if not isinstance(paths, list | tuple) or not paths or None in paths:
        raise InputError(
            f"a prediction of type {type(batch).__name__} has no image_path; "
            "give what Engine.predict returns for images from files"
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
            f"the batch of image '{paths[0]}' has {len(paths)} images and {len(maps)} maps; "
            "give one map for each image"
        )
    yield from zip(map(Path, paths), maps, strict=True)


def _field(batch: object, name: str) -> Any:
    return batch.get(name) if isinstance(batch, Mapping) else getattr(batch, name, None)
