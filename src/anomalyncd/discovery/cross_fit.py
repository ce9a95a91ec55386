"""What classes would be said of regions that took no part in finding them."""

import numpy as np
import scipy.special
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize_scalar

from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.discovery.normality import fit_normality, published_weights
from anomalyncd.discovery.novelty import folds_of
from anomalyncd.discovery.prototypes import spherical_kmeans

_LEAST = 1e-9
_LEAST_CHANCE = 1e-4
_LOG_TEMPERATURES = (-2.0, 3.0)


def held_out_probabilities(
    features: NDArray[np.float32],
    scores: NDArray[np.float32],
    images: NDArray[np.int64],
    assigned: NDArray[np.int64],
    n_classes: int,
    neighbours: bool,
    seed: int,
    max_normal_score: float = 1.0,
    found: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Class probabilities of each region by classes that are found anew without its image.

    Descriptors stay as they are; centres and the split between normal and anomalous are found
    again from four fifths of the images, and named after the classes they share most regions with.

    Args:
        features: Unit descriptors, (R, D).
        scores: Anomaly scores, (R,), 0..1.
        images: Index of the part of each region, (R,); at least two images.
        assigned: Class of each region where all took part, (R,).
        n_classes: Number of classes.
        neighbours: Whether look-alikes say what is normal, see `TrainingConfig.correction`.
        seed: Of folds and starts.
        max_normal_score: See `fit_normality`.
        found: See `spherical_kmeans`.

    Returns:
        (R, n_classes), float32.
    """
    if found is None:
        found = np.ones(len(features), np.bool_)
    fold = folds_of(images, seed)
    probabilities = np.zeros((len(features), n_classes), np.float32)
    for index in range(fold.max() + 1):
        rest, left = fold != index, fold == index
        old, new = _refitted(
            features[rest],
            scores[rest],
            found[rest],
            features[left],
            scores[left],
            n_classes,
            neighbours,
            seed,
            max_normal_score,
        )
        shared = np.zeros((n_classes, n_classes))
        np.add.at(shared, (assigned[rest], old.argmax(1)), 1)
        probabilities[left] = new[:, linear_sum_assignment(shared, maximize=True)[1]]
    return probabilities


def fit_temperature(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """Temperature at which the highest probability says best whether its class is the right one.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", 2017) of the top
    class alone: the negative log-likelihood of "right" and "wrong" is least there. That of all
    classes would be ruled by the few regions whose right class has next to no probability.

    Args:
        probabilities: (R, K).
        classes: The right ones, (R,).
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


def _refitted(
    features: NDArray[np.float32],
    scores: NDArray[np.float32],
    found: NDArray[np.bool_],
    new_features: NDArray[np.float32],
    new_scores: NDArray[np.float32],
    n_classes: int,
    neighbours: bool,
    seed: int,
    max_normal_score: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Class probabilities of regions by their own k-means centres, and those of new regions."""
    if not neighbours:
        centres = spherical_kmeans(features, published_weights(scores), n_classes, seed).numpy()
        old, new = features @ centres.T, new_features @ centres.T
        return (
            scipy.special.softmax(old / STUDENT_TEMPERATURE, axis=1),
            scipy.special.softmax(new / STUDENT_TEMPERATURE, axis=1),
        )
    normality, normal = fit_normality(features, scores, seed, max_normal_score)
    centres = spherical_kmeans(features, normal, n_classes, seed, found).numpy()
    return (
        normality.posterior(features, features @ centres.T, normal, STUDENT_TEMPERATURE),
        normality.posterior(
            new_features,
            new_features @ centres.T,
            normality.weights(new_features, new_scores),
            STUDENT_TEMPERATURE,
        ),
    )
