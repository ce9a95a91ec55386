"""Maps of a set: given, made once and kept, or the true masks in their place."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from anomalyncd.steps import RunContext, make_maps
from numpy.typing import NDArray

from anomalyncd.config import Config, DetectorConfig
from anomalyncd.detection.fitting import fit_detector
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.evaluation.metrics import (
    MapScores,
    PixelHistograms,
    aupro,
    image_auroc,
    label_regions,
    pixel_auroc,
)
from anomalyncd.inputs.anomaly_maps import (
    AnomalyMaps,
    as_maps,
    check_maps,
)
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.files import read_each
from anomalyncd.io.key import content_digest, fingerprint
from anomalyncd.runtime.measurement import Stages
from anomalyncd.runtime.progress import track
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
        check_maps(bench_set.masks, inputs.images, inputs.sizes)
        return replace(inputs, masks=bench_set.masks)
    if source.maps is None:
        return inputs
    maps = _given(source.maps, bench_set.everything, name, data)
    maps = AnomalyMaps(inputs.images.names, tuple(maps.sources[index] for index in bench_set.kept))
    check_maps(maps, inputs.images, inputs.sizes)
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
    """Tells whether images are the same by their names and the sizes of their files."""
    sizes = (one.stat().st_size if isinstance(one, Path) else one for one in images.sources)
    return fingerprint((*images.names, *sizes))


def _contents(sources: Iterable[Any]) -> str:
    files = list(sources)
    digests = read_each(
        lambda i: (
            content_digest(files[i]) if isinstance(files[i], Path) else fingerprint([files[i]])
        ),
        len(files),
        "Reading maps",
    )
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def built_in_maps(
    inputs: Inputs,
    encoder: RegionEncoder,
    detector: DetectorConfig,
    seed: int,
    folder: Path,
    finished: bool,
) -> Inputs:
    """The inputs with maps of the built-in detectors.

    Args:
        inputs: ImageSet, and normal images where the images are compared with them.
        encoder: Its backbone looks at them.
        detector: Settings.
        seed: Of the references or of the memory bank.
        folder: Holds the maps in `maps/`, those of normal images in `normals/maps/`.
        finished: Whether all of them are known to lie there.
    """
    context = RunContext(encoder, replace(Config(), detector=detector), seed, folder, Stages())
    apart = replace(context, folder=folder / "normals")
    kept = _kept(inputs.images, folder) if finished else None
    if kept is not None and inputs.normals is None:
        return replace(inputs, maps=kept)
    kept_normals = _kept(inputs.normals, apart.folder) if kept and inputs.normals else None
    if kept is not None and kept_normals is not None:
        return replace(inputs, maps=kept, normal_maps=kept_normals)
    fitted = fit_detector(encoder.vit, inputs.images, inputs.normals, detector, seed)
    maps = make_maps(context, fitted, inputs.images, None)
    if inputs.normals is None:
        return replace(inputs, maps=maps)
    return replace(inputs, maps=maps, normal_maps=make_maps(apart, fitted, inputs.normals, None))


def _kept(images: ImageSet, folder: Path) -> AnomalyMaps | None:
    paths = tuple(folder / "maps" / f"{name}.npy" for name in images.names)
    return AnomalyMaps(images.names, paths) if all(path.is_file() for path in paths) else None


def score_maps(maps: AnomalyMaps, bench_set: BenchSet) -> Mapping[str, float | None]:
    """Image and pixel AUROC and AUPRO, see `MapScores`; maps and masks are read one at a time."""
    truth = bench_set.truth()
    ends = [(scores.min(), scores.max()) for scores in track(maps, "Reading maps", len(maps))]
    lowest, peaks = np.array(ends, np.float32).T
    histograms = PixelHistograms(float(lowest.min()), float(peaks.max()))
    marked = np.zeros(len(maps), np.bool_)
    for index in track(range(len(maps)), "Scoring maps"):
        mask = truth.mask(index)
        if mask is not None:
            marked[index] = mask.any()
            histograms.add(maps[index], label_regions(mask))
    defective, known = truth.states(marked)
    by_image = image_auroc(peaks[known], defective[known])
    return asdict(MapScores(by_image, pixel_auroc(histograms), aupro(histograms)))
