"""When a fitted model says "unseen" or "unsure" in place of a class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import ReliabilityConfig
from anomalyncd.discovery.cross_fit import (
    fit_temperature,
    held_out_probabilities,
    tempered,
)
from anomalyncd.discovery.discover import Discovery
from anomalyncd.discovery.novelty import NoveltyDetector, fit_novelty_detector
from anomalyncd.regions.table import Regions

UNSEEN = -1
"""What `predict` returns for a image that looks like nothing known."""
UNSURE = -2
"""What `predict` returns for a image between known classes."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """How far the class of each region can be relied on."""

    calibrated: NDArray[np.float32]
    """(R, K): class probabilities as often right as they say, see `ReliabilityModel.temperature`."""
    novelty: NDArray[np.float32]
    """(R,): share of the known regions that are less of an outlier, 0..1."""
    unseen: NDArray[np.bool_]
    """(R,): whether a region looks like nothing known."""
    least_confidence: float
    """Below this calibrated probability a class is unsure."""


@dataclass(frozen=True, eq=False)
class ReliabilityModel:
    """What new regions are rejected by (our reconstruction of ProtoAnomalyNCD's extension)."""

    known: NoveltyDetector | None
    """The anomalous regions of `fit`; None where they belong to fewer than two images."""
    temperature: float
    """Divides log probabilities, so that they say how often a discovery without a image gives it
    the class that it has where all took part."""

    def assess(
        self,
        features: NDArray[np.float32],
        regions: Regions,
        probabilities: NDArray[np.float32],
        config: ReliabilityConfig,
    ) -> Reliability:
        """Judges new regions.

        Args:
            features: Unit descriptors, (R, D).
            regions: The regions.
            probabilities: Their class probabilities, (R, K).
            config: What share of known regions would be rejected.
        """
        novelty = np.zeros(len(features), np.float32)
        rows = np.flatnonzero(regions.found)
        if self.known is not None and len(rows):
            scores = self.known.scores(features[rows], regions.area[rows])
            novelty[rows] = self.known.novelty(scores)
        return self._judgement(novelty, probabilities, config)

    def _judgement(
        self,
        novelty: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        config: ReliabilityConfig,
    ) -> Reliability:
        unseen = novelty > 1 - config.share
        calibrated = tempered(probabilities, self.temperature)
        return Reliability(calibrated, novelty, unseen, config.least_confidence)


def fit_reliability(
    discovered: Discovery,
    regions: Regions,
    config: ReliabilityConfig,
    seed: int,
    max_normal_score: float = 1.0,
) -> tuple[ReliabilityModel, Reliability]:
    """Learns how unlike each other known regions are, and how much a class probability is worth.

    A region that merely stands in for a image without an anomaly is no kind of defect, seen or
    unseen, so it is neither compared nor ever rejected.

    Args:
        discovered: Classes and descriptors of the regions.
        regions: The regions that they were found with.
        config: What share of them is rejected.
        seed: Of folds and starts.
        max_normal_score: See `fit_normality`.

    Returns:
        The rejection, and what it says of these regions, each measured without its own image.
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
            max_normal_score,
            regions.found,
        )
        temperature = fit_temperature(held_out, assigned)
    novelty, known = np.zeros(len(features), np.float32), None
    rows = np.flatnonzero(regions.found)
    if len(np.unique(regions.image[rows])) > 1:
        known, scores = fit_novelty_detector(
            features[rows], regions.area[rows], regions.image[rows], seed
        )
        novelty[rows] = known.novelty(scores)
    reliability_model = ReliabilityModel(known, temperature)
    return reliability_model, reliability_model._judgement(novelty, probabilities, config)
