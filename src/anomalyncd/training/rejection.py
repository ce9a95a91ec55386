"""When a fitted model says "unseen" or "unsure" in place of a class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.regions.table import Regions
from anomalyncd.settings import RejectionSettings
from anomalyncd.training.cross_fit import fit_temperature, held_out_probabilities, tempered
from anomalyncd.training.discoverer import Discovered
from anomalyncd.training.outliers import KnownRegions, fit_known_regions

UNSEEN = -1
"""What `predict` returns for a part that looks like nothing known."""
UNSURE = -2
"""What `predict` returns for a part between known classes."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """How far the class of each region can be relied on."""

    calibrated: NDArray[np.float32]
    """(R, K): class probabilities as often right as they say, see `Rejection.temperature`."""
    novelty: NDArray[np.float32]
    """(R,): share of the known regions that are less of an outlier, 0..1."""
    unseen: NDArray[np.bool_]
    """(R,): whether a region looks like nothing known."""
    least_confidence: float
    """Below this calibrated probability a class is unsure."""


@dataclass(frozen=True, eq=False)
class Rejection:
    """What new regions are rejected by (our reconstruction of ProtoAnomalyNCD's extension)."""

    known: KnownRegions | None
    """The anomalous regions of `fit`; None where they belong to fewer than two parts."""
    temperature: float
    """Divides log probabilities, so that they say how often a discovery without a part gives it
    the class that it has where all took part."""

    def judge(
        self,
        features: NDArray[np.float32],
        regions: Regions,
        probabilities: NDArray[np.float32],
        settings: RejectionSettings,
    ) -> Judgement:
        """Judges new regions.

        Args:
            features: Unit descriptors, (R, D).
            regions: The regions.
            probabilities: Their class probabilities, (R, K).
            settings: What share of known regions would be rejected.
        """
        novelty = np.zeros(len(features), np.float32)
        rows = np.flatnonzero(regions.found)
        if self.known is not None and len(rows):
            scores = self.known.scores(features[rows], regions.area[rows])
            novelty[rows] = self.known.novelty(scores)
        return self._judgement(novelty, probabilities, settings)

    def _judgement(
        self,
        novelty: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        settings: RejectionSettings,
    ) -> Judgement:
        unseen = novelty > 1 - settings.share
        calibrated = tempered(probabilities, self.temperature)
        return Judgement(calibrated, novelty, unseen, settings.least_confidence)


def fit_rejection(
    discovered: Discovered,
    regions: Regions,
    settings: RejectionSettings,
    seed: int,
    highest_split: float = 1.0,
) -> tuple[Rejection, Judgement]:
    """Learns how unlike each other known regions are, and how much a class probability is worth.

    A region that merely stands in for a part without an anomaly is no kind of defect, seen or
    unseen, so it is neither compared nor ever rejected.

    Args:
        discovered: Classes and descriptors of the regions.
        regions: The regions that they were found with.
        settings: What share of them is rejected.
        seed: Of folds and starts.
        highest_split: See `fit_normality`.

    Returns:
        The rejection, and what it says of these regions, each measured without its own part.
    """
    features, probabilities = discovered.features, discovered.probabilities
    assigned = probabilities.argmax(1)
    temperature = 1.0
    if len(np.unique(regions.image)) > 1:
        held_out = held_out_probabilities(
            features,
            regions.score,
            regions.image,
            assigned,
            probabilities.shape[1],
            discovered.normality is not None,
            seed,
            highest_split,
            regions.found,
        )
        temperature = fit_temperature(held_out, assigned)
    novelty, known = np.zeros(len(features), np.float32), None
    rows = np.flatnonzero(regions.found)
    if len(np.unique(regions.image[rows])) > 1:
        known, scores = fit_known_regions(
            features[rows], regions.area[rows], regions.image[rows], seed
        )
        novelty[rows] = known.novelty(scores)
    rejection = Rejection(known, temperature)
    return rejection, rejection._judgement(novelty, probabilities, settings)
