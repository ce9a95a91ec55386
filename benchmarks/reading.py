"""The regions of a real set, read once and kept for all benchmarks that look at them."""

import hashlib
import pickle
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from anomalyncd.steps import (
    RunContext,
    find_and_read,
    score_parts,
)
from numpy.typing import NDArray

from anomalyncd.config import PRESETS
from anomalyncd.evaluation.ground_truth import labels_from_names
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.table import Regions
from anomalyncd.results.aggregation import merge_regions, merging_temperature
from anomalyncd.runtime.measurement import Stages
from common import FOLDERS, new_encoder, normal_folder, real_data, with_built_in_maps

KINDS = ("zero_shot", "normals", "masks")
"""Maps without and with normal images, and true masks in their place."""
LEFT_OUT = "combined"
"""ImageSet of several kinds, which the papers leave out."""


@dataclass(frozen=True, eq=False)
class Read:
    """The regions of a set, read once."""

    regions: Regions
    vectors: NDArray[np.float32]
    """(R, sum of widths): joined images of the descriptors, before they are centred."""
    widths: tuple[int, ...]
    labels: NDArray[np.str_]
    """(N,): true kind of each image."""
    temperatures: NDArray[np.float64]
    """(N,): of merging."""
    max_normal_score: float
    """Highest score that may part normal from anomalous."""

    def merged(self, values: NDArray, rows: NDArray) -> NDArray[np.float64]:
        """Values of regions, (B, K), brought to their images, in ascending order of these."""
        images, index = np.unique(self.regions.image[rows], return_inverse=True)
        areas = self.regions.area[rows]
        return merge_regions(values, areas, index, len(images), self.temperatures[images])


def inputs_of(name: str, kind: str, folder: Path) -> Inputs:
    """A set with true masks, or with built-in maps, which are kept in `folder`."""
    source = real_data() / FOLDERS[name]
    inputs = check_inputs(source, normals=normal_folder(source) if kind == "normals" else None)
    if kind == "masks":
        return replace(inputs, masks=Masks.from_folder(source / "ground_truth", inputs.images))
    return with_built_in_maps(inputs, PRESETS["default"], folder / f"{name}_{kind}")


def read_set(name: str, kind: str, folder: Path) -> Read:
    """Regions of a set, as the default preset finds and describes them.

    Args:
        name: One of `FOLDERS`.
        kind: One of `KINDS`.
        folder: Where maps and what was read are kept; the same settings find them there.
    """
    config = PRESETS["default"].resolved(with_base=False)
    digest = hashlib.sha256(repr(asdict(config)).encode()).hexdigest()[:12]
    path = folder / f"{name}_{kind}_{digest}.pickle"
    if path.is_file():
        kept: Read = pickle.loads(path.read_bytes())
        return kept
    inputs = inputs_of(name, kind, folder)
    context = RunContext(new_encoder(config), config, 0, folder, Stages())
    found, cache = find_and_read(context, inputs, score_parts(context, inputs))
    read = Read(
        found.regions,
        cache.read(context.encoder).numpy(),
        context.encoder.widths,
        np.array(labels_from_names(inputs.images.names)),
        merging_temperature(inputs.sizes[:, 0], inputs.sizes[:, 1]),
        found.max_normal_score,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(read))
    return read
