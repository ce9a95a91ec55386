"""The regions of a real set, read once and kept for all benchmarks that look at them."""

import hashlib
import pickle
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.inputs import Inputs, check_inputs
from anomalyncd.data.masks import Masks
from anomalyncd.evaluation.labels import labels_from_names
from anomalyncd.merging import merge_regions, merging_temperature
from anomalyncd.regions.table import Regions
from anomalyncd.runtime import Stages
from anomalyncd.settings import PRESETS
from anomalyncd.steps import Workplace, find_and_read, score_parts
from common import FOLDERS, new_encoder, normal_folder, real_data, with_built_in_maps

KINDS = ("zero_shot", "normals", "masks")
"""Maps without and with normal images, and true masks in their place."""
LEFT_OUT = "combined"
"""Parts of several kinds, which the papers leave out."""


@dataclass(frozen=True, eq=False)
class Read:
    """The regions of a set, read once."""

    regions: Regions
    vectors: NDArray[np.float32]
    """(R, sum of widths): joined parts of the descriptors, before they are centred."""
    widths: tuple[int, ...]
    labels: NDArray[np.str_]
    """(N,): true kind of each part."""
    temperatures: NDArray[np.float64]
    """(N,): of merging."""
    highest_split: float
    """Highest score that may part normal from anomalous."""

    def merged(self, values: NDArray, rows: NDArray) -> NDArray[np.float64]:
        """Values of regions, (B, K), brought to their parts, in ascending order of these."""
        parts, index = np.unique(self.regions.image[rows], return_inverse=True)
        areas = self.regions.area[rows]
        return merge_regions(values, areas, index, len(parts), self.temperatures[parts])


def inputs_of(name: str, kind: str, folder: Path) -> Inputs:
    """A set with true masks, or with built-in maps, which are kept in `folder`."""
    source = real_data() / FOLDERS[name]
    inputs = check_inputs(source, normals=normal_folder(source) if kind == "normals" else None)
    if kind == "masks":
        return replace(inputs, masks=Masks.from_folder(source / "ground_truth", inputs.parts))
    return with_built_in_maps(inputs, PRESETS["default"], folder / f"{name}_{kind}")


def read_set(name: str, kind: str, folder: Path) -> Read:
    """Regions of a set, as the default preset finds and describes them.

    Args:
        name: One of `FOLDERS`.
        kind: One of `KINDS`.
        folder: Where maps and what was read are kept; the same settings find them there.
    """
    settings = PRESETS["default"].resolved(with_base=False)
    digest = hashlib.sha256(repr(asdict(settings)).encode()).hexdigest()[:12]
    path = folder / f"{name}_{kind}_{digest}.pickle"
    if path.is_file():
        kept: Read = pickle.loads(path.read_bytes())
        return kept
    inputs = inputs_of(name, kind, folder)
    place = Workplace(new_encoder(settings), settings, 0, folder, Stages())
    found, cache = find_and_read(place, inputs, score_parts(place, inputs))
    read = Read(
        found.regions,
        cache.read(place.encoder).numpy(),
        place.encoder.widths,
        np.array(labels_from_names(inputs.parts.names)),
        merging_temperature(inputs.sizes[:, 0], inputs.sizes[:, 1]),
        found.highest_split,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(read))
    return read
