"""Where to draw the line between OK and NG, by the two costs that a plant knows."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS, states_from_labels
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.results.run_folder import Run

POINT = "operating.json"


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the score of a image, and what it leads to; a image is NG above it."""

    threshold: float
    """On the scale of the column `score`."""
    overkill: float
    """Share of OK images that are called NG, 0..1."""
    escapes: float | None
    """Share of defective images that are called OK, 0..1; None where no defective image is known."""
    cost: float | None = None
    """Expected cost of 1,000 images, in the unit of the costs given."""
    normal: str | None = None
    """What the labels call a good image; None for the usual names, see `NORMAL_LABELS`."""


@dataclass(frozen=True, eq=False)
class OperatingCurve:
    """Escapes and overkill at every threshold that tells scores apart, rising."""

    thresholds: NDArray[np.float64]
    """(T,)."""
    overkill: NDArray[np.float64]
    """(T,): falls from 1 to 0."""
    escapes: NDArray[np.float64] | None
    """(T,): rises from 0 to 1; None where only normal images are known."""
    defect_share: float
    """Share of defective images among those known, 0..1."""

    def cheapest(
        self, escape_cost: float, overkill_cost: float, defect_share: float | None = None
    ) -> OperatingPoint:
        """The point of least expected cost; of equal ones that with fewest escapes.

        Args:
            escape_cost: Of one defective image that passes.
            overkill_cost: Of one OK image that is rejected.
            defect_share: Share of defective images in production; by default that of the known
                images, which test sets mostly hold too many of.

        Raises:
            InputError: No defective image is known, or a number cannot be used.
        """
        share = self.defect_share if defect_share is None else defect_share
        if self.escapes is None:
            raise InputError(
                "only normal images are known, so escapes have no known cost; "
                "give the overkill that is allowed instead (--max-overkill)"
            )
        costs_given = (escape_cost, overkill_cost)
        if not all(math.isfinite(cost) and cost >= 0 for cost in costs_given) or not any(
            costs_given
        ):
            raise InputError(
                f"costs of {escape_cost:g} (escape) and {overkill_cost:g} (overkill) cannot be "
                "used; give numbers from 0, one of them above 0"
            )
        if not 0 <= share <= 1:
            raise InputError(f"share of defective images {share} cannot be used; give 0..1")
        missed, rejected = share * self.escapes, (1 - share) * self.overkill
        costs = 1000 * (missed * escape_cost + rejected * overkill_cost)
        return self._point(int(costs.argmin()), float(costs.min()))

    def at_overkill(self, most: float) -> OperatingPoint:
        """The lowest threshold that rejects at most a given share of OK images.

        Raises:
            InputError: The share is not between 0 and 1.
        """
        if not 0 <= most <= 1:
            raise InputError(f"overkill {most} cannot be used; give a share, 0..1")
        return self._point(int(np.argmax(self.overkill <= most)), None)

    def _point(self, index: int, cost: float | None) -> OperatingPoint:
        escapes = None if self.escapes is None else float(self.escapes[index])
        threshold, overkill = float(self.thresholds[index]), float(self.overkill[index])
        return OperatingPoint(threshold, overkill, escapes, cost)


def operating_curve(ok: NDArray[np.floating], defective: NDArray[np.floating]) -> OperatingCurve:
    """Sweeps a threshold over the scores of images whose state is known.

    Args:
        ok: Scores of OK images, (N,), at least one.
        defective: Scores of defective images, (M,), perhaps none.
    """
    levels = np.unique(np.concatenate([ok, defective]).astype(np.float64))
    thresholds = np.concatenate([[levels[0] - 1e-6], (levels[1:] + levels[:-1]) / 2, levels[-1:]])
    overkill = (len(ok) - np.searchsorted(np.sort(ok), thresholds, side="right")) / len(ok)
    escapes = None
    if len(defective):
        escapes = np.searchsorted(np.sort(defective), thresholds, side="right") / len(defective)
    share = len(defective) / (len(ok) + len(defective))
    return OperatingCurve(thresholds, overkill, escapes, share)


def curve_of_run(run: Run, normal: str | None = None) -> OperatingCurve:
    """The curve of a run, from labels of its images or from the normal images it was given.

    Args:
        run: A finished run.
        normal: What the labels call a good image; None for the usual names.

    Raises:
        InputError: Neither tells which parts are OK.
    """
    names = NORMAL_LABELS if normal is None else (normal.lower(),)
    known = ok_and_defective(run.images, names)
    if known is not None:
        return operating_curve(*known)
    if len(run.normal_scores):
        return operating_curve(run.normal_scores, np.zeros(0))
    raise InputError(
        f"run '{run.folder}' does not know which parts are OK; discover with --normals, or give "
        f"labels of which one is called {' or '.join(names)}"
    )


def ok_and_defective(
    images: pd.DataFrame, normal: Collection[str] = NORMAL_LABELS
) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None:
    """Scores of the images known to be OK and of those known not to be; None where none is OK."""
    states, scores = states_from_labels(images, normal), images["score"].to_numpy()
    return None if states is None else (scores[states == 0], scores[states == 1])


def write_point(point: OperatingPoint, folder: Path) -> None:
    """Keeps a point with a run, for its report and for predictions."""
    write_json(folder / POINT, asdict(point))


def read_point(folder: Path) -> OperatingPoint | None:
    """The point kept with a run; None where none was chosen.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / POINT
    if not path.is_file():
        return None
    stored = read_json(path, "operating point")
    try:
        point = OperatingPoint(**stored)
        numbers = (point.threshold, point.overkill, point.escapes, point.cost)
        math.fsum(number for number in numbers if number is not None)
        if None in (point.threshold, point.overkill):
            raise TypeError("no threshold")
    except TypeError as error:
        raise InputError(
            f"'{path}' is damaged ({error}); delete it and choose the point again"
        ) from error
    return point
