"""The threshold between OK and NG images, chosen by the costs of escapes and of overkill."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS, states_from_labels
from anomalyncd.results.operating_point import OperatingPoint
from anomalyncd.results.run_folder import Run


@dataclass(frozen=True, eq=False)
class OperatingCurve:
    """Escapes and overkill at every threshold between two scores, in ascending order."""

    thresholds: NDArray[np.float64]
    """(T,)."""
    overkill: NDArray[np.float64]
    """(T,): decreases from 1 to 0."""
    escapes: NDArray[np.float64] | None
    """(T,): increases from 0 to 1; None where only normal images are known."""
    defect_share: float
    """Share of defective images among the images whose state is known, 0..1."""
    escape_costs: NDArray[np.float64] | None = None
    """(T,): cost of the escapes for each defective image, by the costs of its class in the label
    book; None where a class has none."""

    def cheapest(
        self, escape_cost: float | None, overkill_cost: float, defect_share: float | None = None
    ) -> OperatingPoint:
        """Finds the point of least expected cost; of equal points the one with fewest escapes.

        Args:
            escape_cost: Cost of a defective image that passes; None takes that of its class.
            overkill_cost: Cost of an OK image that is rejected.
            defect_share: Share of defective images in production; by default that of the images
                of the curve, although most test sets contain too many defects.

        Raises:
            InputError: No defective image is known, or a number cannot be used.
        """
        share = self.defect_share if defect_share is None else defect_share
        if self.escapes is None:
            raise InputError(
                "only normal images are known, so escapes have no known cost; "
                "give `max_overkill` in place of the costs"
            )
        if escape_cost is None and self.escape_costs is None:
            raise InputError(
                "no cost is known: give `escape_cost` (with `overkill_cost`) or `max_overkill`, or "
                "say in the label book what an escape of each class of defects costs"
            )
        unit_costs = (1.0 if escape_cost is None else escape_cost, overkill_cost)
        usable = all(math.isfinite(cost) and cost >= 0 for cost in unit_costs)
        if not usable or not any(unit_costs):
            raise InputError(
                f"costs of {unit_costs[0]:g} (escape) and {overkill_cost:g} (overkill) cannot be "
                "used; give numbers from 0, one of them above 0"
            )
        if not 0 <= share <= 1:
            raise InputError(f"share of defective images {share} cannot be used; give 0..1")
        of_escapes = self.escape_costs if escape_cost is None else escape_cost * self.escapes
        assert of_escapes is not None
        rejected = (1 - share) * self.overkill
        costs = 1000 * (share * of_escapes + rejected * overkill_cost)
        return self._point(int(costs.argmin()), float(costs.min()))

    def at_overkill(self, max_overkill: float) -> OperatingPoint:
        """Finds the lowest threshold that rejects at most a share of the OK images.

        Raises:
            InputError: The share is not between 0 and 1.
        """
        if not 0 <= max_overkill <= 1:
            raise InputError(f"overkill {max_overkill} cannot be used; give a share, 0..1")
        return self._point(int(np.argmax(self.overkill <= max_overkill)), None)

    def _point(self, index: int, cost: float | None) -> OperatingPoint:
        escapes = None if self.escapes is None else float(self.escapes[index])
        threshold, overkill = float(self.thresholds[index]), float(self.overkill[index])
        return OperatingPoint(threshold, overkill, escapes, cost)


def operating_curve(
    ok: NDArray[np.floating],
    defective: NDArray[np.floating],
    costs: NDArray[np.float64] | None = None,
) -> OperatingCurve:
    """Computes escapes and overkill for the scores of images whose state is known.

    Args:
        ok: Scores of OK images, (N,), at least one.
        defective: Scores of defective images, (M,), possibly none.
        costs: What it costs when each of them passes, (M,).
    """
    levels = np.unique(np.concatenate([ok, defective]).astype(np.float64))
    thresholds = np.concatenate([[levels[0] - 1e-6], (levels[1:] + levels[:-1]) / 2, levels[-1:]])
    overkill = (len(ok) - np.searchsorted(np.sort(ok), thresholds, side="right")) / len(ok)
    escapes = escape_costs = None
    if len(defective):
        passed = np.searchsorted(np.sort(defective), thresholds, side="right")
        escapes = passed / len(defective)
        if costs is not None:
            summed = np.concatenate([[0], np.cumsum(costs[np.argsort(defective)])])
            escape_costs = summed[passed] / len(defective)
    share = len(defective) / (len(ok) + len(defective))
    return OperatingCurve(thresholds, overkill, escapes, share, escape_costs)


def curve_of_run(run: Run, normal: str | None = None) -> OperatingCurve:
    """Computes the curve of a run from labels of its images, or from its normal images.

    Args:
        run: A finished run.
        normal: Label of the normal class; None for the usual names.

    Raises:
        InputError: There is no label of the normal class and no normal image.
    """
    names = NORMAL_LABELS if normal is None else (normal.lower(),)
    states, scores = states_from_labels(run.images, names), run.images["score"].to_numpy()
    if states is not None:
        costs = _escape_costs(run)
        of_defective = None if costs is None else costs[states == 1]
        return operating_curve(scores[states == 0], scores[states == 1], of_defective)
    if len(run.normal_scores):
        return operating_curve(run.normal_scores, np.zeros(0))
    raise InputError(
        f"run '{run.folder}' does not know which images are OK; discover with `normals`, or with "
        f"labels that call normal images {' or '.join(names)}"
    )


def _escape_costs(run: Run) -> NDArray[np.float64] | None:
    """Cost when each image passes although it is defective, by its class; the mean cost for one
    that was taken for normal. None unless the label book has the costs of all kinds of defects."""
    if not run.has_labels:
        return None
    classes = [one for one in run.labels.state.in_use if one.kind == "defect"]
    costs = {one.id: one.escape_cost for one in classes if one.escape_cost is not None}
    if not classes or len(costs) < len(classes):
        return None
    mean = sum(costs.values()) / len(costs)
    return np.array([costs.get(one, mean) for one in run.images["class"].tolist()], np.float64)
