"""The maps of a set: given, made by a built-in detector, or true masks in their place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config, DetectorConfig
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps, as_maps, check_maps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks, check_masks
from anomalyncd.io.files import read_each
from anomalyncd.io.key import content_digest, key
from anomalyncd.pipeline import Pipeline
from anomalyncd.runtime.measurement import Stages
from anomalyncd_bench.data_sets import BenchSet
from anomalyncd_bench.entries import SourceEntry


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
    """The inputs of a set with the maps or masks of a source; built-in maps are not made yet.

    Args:
        bench_set: The set.
        source: The map source.
        data: Where relative folders begin.

    Raises:
        InputError: There are no masks, or the maps do not fit the images.
    """
    inputs, name = bench_set.inputs, bench_set.entry.name
    if not source.with_normals:
        inputs = replace(inputs, normals=None, ignored_on_normals=None)
    if source.kind == "masks":
        if bench_set.masks is None:
            raise InputError(f"set '{name}' has no masks; omit the map source 'masks'")
        check_masks(bench_set.masks, inputs.sizes)
        return replace(inputs, masks=bench_set.masks)
    if source.maps is None:
        return inputs
    maps = _open_maps(source.maps, bench_set.all_images, name, data)
    chosen = tuple(maps.sources[index] for index in bench_set.rows)
    maps = AnomalyMaps(inputs.images.names, chosen)
    check_maps(maps, inputs.sizes)
    normal_maps = None
    if source.normal_maps is not None and inputs.normals is not None:
        normal_maps = _open_maps(source.normal_maps, inputs.normals, name, data)
    return replace(inputs, maps=maps, normal_maps=normal_maps)


def _open_maps(folder: str, images: ImageSet, name: str, data: Path) -> AnomalyMaps:
    return as_maps(data / Path(folder.replace("{set}", name)).expanduser(), images)


def made_from(inputs: Inputs, source: SourceEntry, detector: DetectorConfig) -> str:
    """Key of everything that the maps of a source depend on besides images, backbone and seed."""
    if inputs.masks is not None:
        return key("masks", _contents(inputs.masks.sources))
    if inputs.maps is not None:
        normal = inputs.normal_maps.sources if inputs.normal_maps else ()
        return key("maps", _contents(inputs.maps.sources), _contents(normal))
    return key(source.kind, detector, inputs.normals and images_key(inputs.normals))


def images_key(images: ImageSet) -> str:
    """Key of images by their names and the sizes of their files, equal on all machines."""
    sizes = [one.stat().st_size if isinstance(one, Path) else one for one in images.sources]
    return key(images.names, sizes)


def _contents(sources: Sequence[object]) -> list[str]:
    def digest(index: int) -> str:
        source = sources[index]
        return content_digest(source) if isinstance(source, Path) else key(source)

    return list(read_each(digest, len(sources), "Reading maps"))


def built_in_maps(
    inputs: Inputs, encoder: RegionEncoder, detector: DetectorConfig, seed: int, folder: Path
) -> Inputs:
    """The inputs with maps of a built-in detector.

    Args:
        inputs: Images, and normal images if the images are compared with them.
        encoder: Its backbone makes the maps.
        detector: Config of the detector.
        seed: Seed of the references or of the memory bank.
        folder: Holds the maps in `maps/`, those of normal images in `normals/maps/`.
    """
    config = replace(Config(), detector=detector)
    pipeline = Pipeline(RunContext(encoder, config, seed, folder, Stages()), inputs)
    return replace(inputs, maps=pipeline.maps, normal_maps=pipeline.normal_maps)
