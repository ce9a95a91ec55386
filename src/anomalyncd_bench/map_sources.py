"""Maps of a set: given, made once and kept, or the true masks in their place."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config, DetectorConfig
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import (
    AnomalyMaps,
    as_maps,
    check_maps,
)
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks, check_masks
from anomalyncd.io.files import read_each
from anomalyncd.io.key import content_digest, key
from anomalyncd.pipeline import MAPS, Pipeline
from anomalyncd.runtime.measurement import Stages
from anomalyncd_bench.data_sets import BenchSet
from anomalyncd_bench.table_file import SourceEntry


@dataclass(frozen=True, eq=False)
class MasksAsMaps:
    """True masks, read as maps of zeros and ones."""

    masks: Masks

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        """(H, W), float32."""
        return self.masks[index].astype(np.float32)


def open_source(bench_set: BenchSet, source: SourceEntry, data: Path) -> Inputs:
    """The inputs of a set with the maps of a source, as far as these are there already.

    Raises:
        InputError: There are no masks, or the maps do not fit the images.
    """
    inputs, name = bench_set.inputs, bench_set.entry.name
    if not source.with_normals:
        inputs = replace(inputs, normals=None, ignored_on_normals=None)
    if source.kind == "masks":
        if bench_set.masks is None:
            raise InputError(f"set '{name}' has no masks; leave the source 'masks' out")
        check_masks(bench_set.masks, inputs.sizes)
        return replace(inputs, masks=bench_set.masks)
    if source.maps is None:
        return inputs
    maps = _given(source.maps, bench_set.everything, name, data)
    maps = AnomalyMaps(inputs.images.names, tuple(maps.sources[index] for index in bench_set.kept))
    check_maps(maps, inputs.sizes)
    normal_maps = None
    if source.normal_maps is not None and inputs.normals is not None:
        normal_maps = _given(source.normal_maps, inputs.normals, name, data)
    return replace(inputs, maps=maps, normal_maps=normal_maps)


def _given(folder: str, images: ImageSet, name: str, data: Path) -> AnomalyMaps:
    return as_maps(data / Path(folder.replace("{set}", name)).expanduser(), images)


def made_from(inputs: Inputs, source: SourceEntry, detector: DetectorConfig) -> Any:
    """All that the maps of a source depend on besides images, backbone and seed, as plain values."""
    if inputs.masks is not None:
        return {"masks": _contents(inputs.masks.sources)}
    if inputs.maps is not None:
        normal = inputs.normal_maps.sources if inputs.normal_maps else ()
        return {"maps": _contents(inputs.maps.sources), "normal_maps": _contents(normal)}
    normals = described(inputs.normals) if inputs.normals else None
    return {"kind": source.kind, "detector": asdict(detector), "normals": normals}


def described(images: ImageSet) -> str:
    """Key of images by their names and the sizes of their files."""
    sizes = [one.stat().st_size if isinstance(one, Path) else one for one in images.sources]
    return key(images.names, sizes)


def _contents(sources: Sequence[Path | NDArray[Any] | None]) -> str:
    def digest(index: int) -> str:
        source = sources[index]
        return content_digest(source) if isinstance(source, Path) else key(source)

    return key(read_each(digest, len(sources), "Reading maps"))


def built_in_maps(
    inputs: Inputs, encoder: RegionEncoder, detector: DetectorConfig, seed: int, folder: Path
) -> Inputs:
    """The inputs with maps of the built-in detectors.

    Args:
        inputs: Images, and normal images where the images are compared with them.
        encoder: Its backbone makes the maps.
        detector: Config of the detector.
        seed: Seed of the references or of the memory bank.
        folder: Holds the maps in `maps/`, those of normal images in `normals/maps/`.
    """
    config = replace(Config(), detector=detector)
    pipeline = Pipeline(RunContext(encoder, config, seed, folder, Stages()), inputs)
    return replace(inputs, maps=pipeline.maps, normal_maps=pipeline.normal_maps)


def existing_maps(inputs: Inputs, folder: Path) -> Inputs | None:
    """The inputs with the maps that `built_in_maps` has written; None where one is missing."""
    maps = _existing(inputs.images, folder)
    normal_maps = None
    if inputs.normals is not None:
        normal_maps = _existing(inputs.normals, folder / "normals")
    if maps is None or (normal_maps is None and inputs.normals is not None):
        return None
    return replace(inputs, maps=maps, normal_maps=normal_maps)


def _existing(images: ImageSet, folder: Path) -> AnomalyMaps | None:
    paths = tuple(folder / MAPS / f"{name}.npy" for name in images.names)
    return AnomalyMaps(images.names, paths) if all(path.is_file() for path in paths) else None
