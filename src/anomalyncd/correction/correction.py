"""Class probabilities that follow from what a person said about some of the regions."""

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray
from scipy.optimize import minimize

from anomalyncd.correction.neighbours import N_NEIGHBOURS, nearest, neighbour_graph, weight
from anomalyncd.discovery.sampling import blocks
from anomalyncd.io.component import Component
from anomalyncd.regions.table import Regions

NEIGHBOUR_SHARE = 0.8
"""Weight of the neighbours of a region beside what the discovery said about it."""
N_PASSES = 40
HALF_AT = 50
"""Number of regions that were named at which the linear model counts as much as neighbours do."""
AMPLITUDE = 30.0
"""Variance of the weights of the linear model before any region is named."""
FLOOR = 0.02
"""Added to a probability before its logarithm is taken; a new class starts with it."""
N_STEPS = 60
SAME = 1e-4
"""Distance (one minus cosine) below which a new region is one of those that were fitted."""
TEMPERATURE = 0.1


@dataclass(frozen=True, eq=False)
class Correction(Component):
    """Classes of regions after a person named some of them (our own).

    Two models are averaged. The first follows neighbours: a region has the mean of its neighbours'
    probabilities and its own of the discovery. The second is a logistic regression on descriptor
    and anomaly score, which starts from the discovery; it counts the more, the more regions were
    named.
    """

    features: NDArray[np.float32]
    """(R, D): unit descriptors of the regions it was fitted with; R = 0 where none was named."""
    corrected: NDArray[np.float32]
    """(R, C): their probabilities after the correction."""
    spread: NDArray[np.float32]
    """(R, C): their probabilities by the first model."""
    classes_of: NDArray[np.int64]
    """(K,): the class of each discovered class, -1 where it was dissolved."""
    centres: NDArray[np.float32]
    """(C, D): unit centres of the classes, zero where none of the discovered ones belongs to it."""
    weights: NDArray[np.float32]
    """(D + 2, C): of the second model, for the evidence of a region, see `_evidence`."""
    used: NDArray[np.bool_]
    """(C,): classes to which a discovered class or a named region belongs."""
    n_said: int
    """Number of regions that were named."""

    def apply(
        self,
        features: NDArray[np.float32],
        scores: NDArray[np.float32],
        probabilities: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Class probabilities of new regions.

        A region whose descriptor is the same as one that was fitted has the probabilities of that.

        Args:
            features: Unit descriptors, (B, D).
            scores: Their anomaly scores, (B,).
            probabilities: Those of the discovery, (B, K).

        Returns:
            (B, C), float32.
        """
        prior = _mapped(probabilities, self.classes_of, self.centres, features)
        if not self.n_said or not len(features):
            return prior
        cosines, indices = nearest(features, self.features, N_NEIGHBOURS)
        weights = weight(cosines)[..., None]
        near = (weights * self.spread[indices]).sum(1) / np.maximum(weights.sum(1), 1e-30)
        near = NEIGHBOUR_SHARE * near + (1 - NEIGHBOUR_SHARE) * prior
        result = _joined(near, _linear(prior, features, scores, self), self.n_said)
        best = cosines.argmax(1)
        same = cosines.max(1) > 1 - SAME
        result[same] = self.corrected[indices[np.arange(len(best)), best]][same]
        return result


def fit_correction(
    features: NDArray[np.float32],
    regions: Regions,
    probabilities: NDArray[np.float32],
    said: NDArray[np.int64],
    n_classes: int,
    classes_of: NDArray[np.int64],
    seed: int,
) -> tuple[Correction, NDArray[np.float32]]:
    """Learns from the regions that a person named.

    Args:
        features: Unit descriptors, (R, D).
        regions: The regions, with their anomaly scores.
        probabilities: Those of the discovery, (R, K).
        said: Class of each region that a person named, -1 for the others, (R,); class 0 is normal.
        n_classes: Number of classes C, those that the person made included.
        classes_of: The class of each discovered class, (K,); several may have the same one, and -1
            dissolves a class.
        seed: Of the search for neighbours.

    Returns:
        What is applied to new regions, and the probabilities of these regions, (R, C), float32:
        those of the discovery where no region was named; 1 for what was said.

    Raises:
        ValueError: A class is not below `n_classes`, or the lengths do not fit.
    """
    _refuse(features, probabilities, said, n_classes, classes_of)
    named = np.flatnonzero(said >= 0)
    used = np.isin(np.arange(n_classes), np.concatenate([classes_of, said[named]]))
    centres = _centres(features, probabilities, classes_of, n_classes)
    prior = _mapped(probabilities, classes_of, centres, features)
    weights = np.zeros((features.shape[1] + 2, n_classes), np.float32)
    if not len(named):
        unchanged = (features[:0], prior[:0], prior[:0], classes_of, centres, weights, used, 0)
        return Correction(*unchanged), prior
    known = np.eye(n_classes, dtype=np.float32)[said[named]]
    spread = _spread(features, prior, named, known, seed)
    offsets = _offsets(prior[named], used)
    weights[:, used] = _fit_linear(
        _evidence(features[named], regions.score[named]), offsets, known[:, used]
    )
    start = Correction(features, prior, spread, classes_of, centres, weights, used, len(named))
    corrected = _joined(spread, _linear(prior, features, regions.score, start), len(named))
    corrected[named] = known
    fields = (features, corrected, spread, classes_of, centres, weights, used, len(named))
    return Correction(*fields), corrected


def _refuse(
    features: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    said: NDArray[np.int64],
    n_classes: int,
    classes_of: NDArray[np.int64],
) -> None:
    if not len(features) == len(probabilities) == len(said):
        raise ValueError(
            f"{len(features)} descriptors, {len(probabilities)} rows of probabilities and "
            f"{len(said)} answers; give one of each for every region"
        )
    if len(classes_of) != probabilities.shape[1]:
        raise ValueError(
            f"{len(classes_of)} entries of `classes_of` for {probabilities.shape[1]} classes"
        )
    highest = int(max(classes_of.max(initial=0), said.max(initial=0)))
    if highest >= n_classes:
        raise ValueError(f"class {highest} is not among {n_classes} classes")


def _mapped(
    probabilities: NDArray[np.float32],
    classes_of: NDArray[np.int64],
    centres: NDArray[np.float32],
    features: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Probabilities of the discovery for the classes that there are now, (B, C).

    Without the dissolved classes the others fill the row; where next to nothing is left, the
    centres of the others decide.
    """
    mapped = np.zeros((len(probabilities), len(centres)), np.float32)
    for found, belongs_to in enumerate(classes_of):
        if belongs_to >= 0:
            mapped[:, belongs_to] += probabilities[:, found]
    if (classes_of >= 0).all():
        return mapped
    if not centres.any():
        mapped[:, 0] = 1
        return mapped
    lost = mapped.sum(1) < 1e-6
    cosines = features[lost] @ centres.T / TEMPERATURE
    cosines[:, ~centres.any(1)] = -np.inf
    mapped[lost] = scipy.special.softmax(cosines, axis=1)
    return np.asarray(mapped / mapped.sum(1, keepdims=True), np.float32)


def _centres(
    features: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    classes_of: NDArray[np.int64],
    n_classes: int,
) -> NDArray[np.float32]:
    """Unit means of the classes, (C, D), each region weighted by its probabilities."""
    centres = np.zeros((n_classes, features.shape[1]), np.float32)
    remaining = classes_of >= 0
    np.add.at(centres, classes_of[remaining], (probabilities.T @ features)[remaining])
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    return np.asarray(centres / np.maximum(lengths, 1e-12), np.float32)


def _spread(
    features: NDArray[np.float32],
    prior: NDArray[np.float32],
    named: NDArray[np.int64],
    known: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float32]:
    """Lets answers spread over a graph of neighbours, with the discovery as prior, (R, C).

    Source: label spreading (Zhou and others, 2003), with the answers fixed.
    """
    graph, order = neighbour_graph(features, seed)
    start = prior.copy()
    start[named] = known
    start, fixed = start[order], np.isin(order, named)
    spread = start
    for _ in range(N_PASSES):
        spread = NEIGHBOUR_SHARE * (graph @ spread) + (1 - NEIGHBOUR_SHARE) * start
        spread[fixed] = start[fixed]
    result = np.empty_like(prior)
    result[order] = spread / np.maximum(spread.sum(1, keepdims=True), 1e-30)
    return result


def _evidence(features: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the linear model sees of a region, (B, D + 2): descriptor, score and a constant."""
    evidence = np.empty((len(features), features.shape[1] + 2), np.float32)
    evidence[:, :-2] = features
    evidence[:, -2] = np.log(np.maximum(scores, 0) + 0.01) / np.sqrt(AMPLITUDE)
    evidence[:, -1] = 1 / np.sqrt(AMPLITUDE)
    return evidence


def _offsets(prior: NDArray[np.float32], used: NDArray[np.bool_]) -> NDArray[np.float32]:
    logarithms: NDArray[np.float32] = np.log(prior[:, used] + np.float32(FLOOR))
    return logarithms


def _fit_linear(
    evidence: NDArray[np.float32], offsets: NDArray[np.float32], known: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weights of a logistic regression on top of the logarithms of the prior, (D + 2, used)."""
    shape = (evidence.shape[1], known.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape).astype(np.float32)
        logits = offsets + evidence @ weights
        residual = scipy.special.softmax(logits, axis=1) - known
        fit = (scipy.special.logsumexp(logits, axis=1) - (known * logits).sum(1)).sum()
        gradient = evidence.T @ residual + weights / AMPLITUDE
        return float(fit + 0.5 * (flat**2).sum() / AMPLITUDE), gradient.ravel().astype(np.float64)

    found = minimize(
        loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": N_STEPS}
    )
    return np.asarray(found.x.reshape(shape), np.float32)


def _linear(
    prior: NDArray[np.float32],
    features: NDArray[np.float32],
    scores: NDArray[np.float32],
    model: Correction,
) -> NDArray[np.float32]:
    result, weights = np.zeros_like(prior), model.weights[:, model.used]
    for block in blocks(len(prior)):
        logits = _offsets(prior[block], model.used)
        logits = logits + _evidence(features[block], scores[block]) @ weights
        result[block, model.used] = scipy.special.softmax(logits, axis=1)
    return result


def _joined(
    near: NDArray[np.float32], linear: NDArray[np.float32], n_said: int
) -> NDArray[np.float32]:
    share = n_said / (n_said + HALF_AT)
    return np.asarray((1 - share) * near + share * linear, np.float32)
