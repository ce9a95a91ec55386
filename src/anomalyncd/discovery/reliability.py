"""How far a class can be relied on: calibrated confidence, and novelty of new regions."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import scipy.special
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize_scalar

from anomalyncd.config import ReliabilityConfig
from anomalyncd.discovery.normality import fit_normality, surely_normal
from anomalyncd.discovery.novelty import NoveltyDetector, fit_novelty, folds_of
from anomalyncd.discovery.sampling import sample_of_images
from anomalyncd.io.component import Component
from anomalyncd.regions.table import Regions

if TYPE_CHECKING:
    from anomalyncd.discovery.discover import Discovery

UNSEEN = -1
"""Returned by `predict` for an image that resembles nothing that was there to `fit`."""
UNSURE = -2
"""Returned by `predict` for an image between known classes."""

_LEAST = 1e-9
_LEAST_CHANCE = 1e-4
_LOG_TEMPERATURES = (-2.0, 3.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How far the class of each region can be relied on."""

    calibrated: NDArray[np.float32]
    """(R, K): class probabilities, calibrated by `ReliabilityModel.temperature`."""
    novelty: NDArray[np.float32]
    """(R,): share of the known regions that are less of an outlier, 0..1."""
    unseen: NDArray[np.bool_]
    """(R,): whether a region resembles no known region."""
    least_confidence: float
    """Below this calibrated probability a class is unsure."""


@dataclass(frozen=True, eq=False)
class ReliabilityModel(Component):
    """Recognises unseen and unsure regions (our reconstruction of ProtoAnomalyNCD's extension)."""

    novelty_detector: NoveltyDetector | None
    """Knows the anomalous regions of `fit`; None where they come from fewer than two images."""
    temperature: float
    """Divides log probabilities, so that they state how often a discovery without an image assigns
    to its regions the class that they have in the discovery with all images."""

    def apply(
        self,
        features: NDArray[np.float32],
        regions: Regions,
        probabilities: NDArray[np.float32],
        config: ReliabilityConfig,
    ) -> Reliability:
        """Assesses new regions.

        Args:
            features: Unit descriptors, (R, D).
            regions: The regions.
            probabilities: Their class probabilities, (R, K).
            config: The share of known regions that would be rejected.
        """
        novelty = np.zeros(len(features), np.float32)
        rows = np.flatnonzero(regions.found)
        if self.novelty_detector is not None and len(rows):
            scores = self.novelty_detector.scores(features[rows], regions.area[rows])
            novelty[rows] = self.novelty_detector.novelty(scores)
        return self.assess(novelty, probabilities, config)

    def assess(
        self,
        novelty: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        config: ReliabilityConfig,
    ) -> Reliability:
        """Assesses regions whose novelty is known, (R,), with class probabilities (R, K)."""
        unseen = novelty > 1 - config.share
        calibrated = tempered(probabilities, self.temperature)
        return Reliability(calibrated, novelty, unseen, config.least_confidence)


def fit_reliability(
    discovery: "Discovery", regions: Regions, config: ReliabilityConfig, seed: int
) -> tuple[ReliabilityModel, Reliability]:
    """Calibrates the class probabilities and learns how much known regions differ from each other.

    A region of an image without an anomaly is no kind of defect, so it is neither compared nor
    rejected. Where there are many regions, both follow from those of a sample of the images.

    Args:
        discovery: Classes and descriptors of the regions.
        regions: The regions that they were found with.
        config: The share of them that is rejected.
        seed: Seed of folds and starts.

    Returns:
        The model, and its assessment of these regions, each measured without its own image.
    """
    features, probabilities = discovery.features, discovery.probabilities
    temperature = 1.0
    if len(np.unique(regions.image)) > 1:
        few = sample_of_images(regions.image, seed)
        some = replace(discovery, features=features[few], probabilities=probabilities[few])
        held_out = held_out_probabilities(some, regions.select(few), seed)
        temperature = fit_temperature(held_out, probabilities[few].argmax(1))
    novelty, detector = np.zeros(len(features), np.float32), None
    rows = np.flatnonzero(regions.found)
    if len(np.unique(regions.image[rows])) > 1:
        detector, novelty[rows] = fit_novelty(features, regions, rows, seed)
    model = ReliabilityModel(detector, temperature)
    return model, model.assess(novelty, probabilities, config)


def held_out_probabilities(
    discovery: "Discovery", regions: Regions, seed: int
) -> NDArray[np.float32]:
    """Class probabilities of each region by classes that are found again without its image.

    Descriptors stay as they are. Centres and the threshold between normal and anomalous are found
    again from four fifths of the images, and matched with the classes that share most regions.

    Args:
        discovery: The discovery with all regions.
        regions: The regions; they come from at least two images.
        seed: Seed of folds and starts.

    Returns:
        (R, K), float32.
    """
    n_classes = discovery.probabilities.shape[1]
    assigned = discovery.probabilities.argmax(1)
    fold = folds_of(regions.image, seed)
    probabilities = np.zeros((len(regions), n_classes), np.float32)
    for index in range(fold.max() + 1):
        held_out = fold == index
        fitted, predicted = _found_again(discovery, regions, held_out, seed)
        shared = np.zeros((n_classes, n_classes))
        np.add.at(shared, (assigned[~held_out], fitted.argmax(1)), 1)
        order = linear_sum_assignment(shared, maximize=True)[1]
        probabilities[held_out] = predicted[:, order]
    return probabilities


def fit_temperature(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """Temperature at which the highest probability best predicts whether its class is right.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", 2017) of the top
    class alone: it minimises the negative log-likelihood of "right" and "wrong". The likelihood of
    all classes would be dominated by the few regions whose right class has almost no probability.

    Args:
        probabilities: (R, K).
        classes: The right classes, (R,).
    """
    right = probabilities.argmax(1) == classes

    def loss(log_temperature: float) -> float:
        top = tempered(probabilities, float(np.exp(log_temperature))).max(1).astype(np.float64)
        chance = np.where(right, top, 1 - top)
        return float(-np.log(np.maximum(chance, _LEAST_CHANCE)).mean())

    best = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(best.x))


def tempered(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities, (R, K), with their logarithms divided by a temperature."""
    logits = np.log(np.maximum(probabilities, _LEAST)).astype(np.float64)
    softened: NDArray[np.float32] = scipy.special.softmax(logits / temperature, axis=1)
    return softened.astype(np.float32)


def _found_again(
    discovery: "Discovery", regions: Regions, held_out: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Class probabilities by k-means on the other regions, of those and of the held-out ones."""
    from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
    from anomalyncd.discovery.prototypes import start_centres

    n_classes = discovery.probabilities.shape[1]
    features, new_features = discovery.features[~held_out], discovery.features[held_out]
    others, new = regions.select(~held_out), regions.select(held_out)
    if discovery.normality is None:
        surely = surely_normal(None, others.score, others.score)
        centres = start_centres(features, surely, n_classes, seed).numpy()
        return (
            scipy.special.softmax(features @ centres.T / STUDENT_TEMPERATURE, axis=1),
            scipy.special.softmax(new_features @ centres.T / STUDENT_TEMPERATURE, axis=1),
        )
    normality, normal = fit_normality(features, others, seed)
    surely = surely_normal(normality, normal, others.score)
    centres = start_centres(features, surely, n_classes, seed).numpy()
    new_normal = normality.weights(new_features, new.score)
    return (
        normality.posterior(features, features @ centres.T, normal, STUDENT_TEMPERATURE),
        normality.posterior(
            new_features, new_features @ centres.T, new_normal, STUDENT_TEMPERATURE
        ),
    )
