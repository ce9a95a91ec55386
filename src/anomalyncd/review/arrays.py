"""What never changes about the regions and images of a run, as arrays that are quick to use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.results.aggregation import area_weights, merging_temperature
from anomalyncd.results.run_folder import Run

N_PARTS = 24
"""A trend has at most as many points."""


@dataclass(frozen=True, eq=False)
class RunArrays:
    """Columns of a run with R regions of N images."""

    ids: NDArray[np.int64]
    """(R,): ids of the regions in the label book."""
    rows: dict[int, int]
    """Row of each id."""
    names: list[str]
    """(N): names of the images."""
    positions: dict[str, int]
    """Number of the image of each name."""
    image: NDArray[np.int64]
    """(R,): number of the image."""
    box: NDArray[np.float64]
    """(R, 4): left, top, right, bottom, px."""
    area: NDArray[np.int64]
    """(R,): mask pixels."""
    score: NDArray[np.float64]
    """(R,): anomaly score."""
    found: NDArray[np.bool_]
    """(R,): False for the place that stands in for an image without a region."""
    unseen: NDArray[np.bool_]
    """(R,): whether it resembles no known class."""
    image_unseen: NDArray[np.bool_]
    """(N,): the same of images."""
    image_unsure: NDArray[np.bool_]
    """(N,): whether the image lies between classes."""
    size: NDArray[np.int64]
    """(N, 2): height and width, px."""
    weight: NDArray[np.float64]
    """(R,): how much a region counts within its image."""
    part: NDArray[np.int64]
    """(R,): which of up to `N_PARTS` consecutive parts of the images it belongs to."""

    @property
    def n_parts(self) -> int:
        """Number of the parts of the images."""
        return min(N_PARTS, len(self.names))


def arrays_of(run: Run, ids: NDArray[np.int64]) -> RunArrays:
    """Collects the arrays of a run.

    Args:
        run: The run.
        ids: (R,): ids of its regions.
    """
    names = run.images["name"].astype(str).tolist()
    positions = {name: number for number, name in enumerate(names)}
    image = np.array([positions[name] for name in run.regions["name"].astype(str)], np.int64)
    area = run.regions["area"].to_numpy(np.int64)
    size = run.images[["height", "width"]].to_numpy(np.int64)
    n_parts = min(N_PARTS, len(names))
    return RunArrays(
        ids,
        {region: row for row, region in enumerate(ids.tolist())},
        names,
        positions,
        image,
        run.regions[["left", "top", "right", "bottom"]].to_numpy(np.float64),
        area,
        run.regions["score"].to_numpy(np.float64),
        run.regions["found"].to_numpy(np.bool_),
        run.regions["unseen"].to_numpy(np.bool_),
        run.images["unseen"].to_numpy(np.bool_),
        run.images["unsure"].to_numpy(np.bool_),
        size,
        _weights(run, area, image, size),
        image * n_parts // max(len(names), 1),
    )


def _weights(
    run: Run, area: NDArray[np.int64], image: NDArray[np.int64], size: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The weights of the rule by which the run merged the regions of its images."""
    rule = run.record["config"].get("aggregation", {}).get("rule", "area")
    if rule == "mean":
        return np.ones(len(area))
    if rule == "score":
        return np.asarray(run.regions["score"].to_numpy(np.float64).clip(1e-9))
    temperature = merging_temperature(size[:, 0], size[:, 1])
    return area_weights(area, image, len(size), temperature)
