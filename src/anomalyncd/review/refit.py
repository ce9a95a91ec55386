"""What follows from what a person said: class probabilities, and which regions to ask about."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.labels.book import LabelBook
from anomalyncd.results.run_folder import Run


@dataclass(frozen=True, eq=False)
class Refit:
    """The result of fitting the classes again."""

    probabilities: NDArray[np.float32]
    """(R, C): by id of the class; a class that was merged has none."""
    to_ask: NDArray[np.int64]
    """Rows of regions, those first about which a word of a person teaches most."""
    typicality: NDArray[np.float32]
    """(R,): cosine between each region and the mean of its class."""


def refit(run: Run, labels: LabelBook) -> Refit:
    """Fits the classes of a run again to what was said so far.

    Args:
        run: The run.
        labels: Its label book.
    """
    said, n_classes = labels.said(), max(labels.state.classes) + 1
    probabilities = discovered(run, labels.classes_of_discovery(), n_classes)
    rows = np.flatnonzero((said >= 0) & (said < n_classes))
    probabilities[rows] = 0
    probabilities[rows, said[rows]] = 1
    return Refit(
        probabilities,
        _least_certain(probabilities, said),
        typicality(run.features, probabilities.argmax(1)),
    )


def unfitted(run: Run, labels: LabelBook) -> Refit:
    """What holds until the first refit: the discovery, whatever was said.

    Args:
        run: The run.
        labels: Its label book.
    """
    n_classes = max(labels.state.classes) + 1
    probabilities = discovered(run, labels.classes_of_discovery(), n_classes)
    order = _least_certain(probabilities, labels.said())
    return Refit(probabilities, order, np.zeros(len(probabilities), np.float32))


def discovered(run: Run, classes_of: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Class probabilities of the discovery by id of the class.

    Args:
        run: The run.
        classes_of: (K,): id of the class to which each discovered class belongs.
        n_classes: One more than the highest id.

    Returns:
        (R, C); a discovered class that belongs to none gives its regions no probability.
    """
    probabilities = np.zeros((len(run.probabilities), n_classes), np.float32)
    for index, class_id in enumerate(classes_of.tolist()):
        if class_id >= 0:
            probabilities[:, class_id] += run.probabilities[:, index]
    return probabilities


def typicality(features: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Cosine between each region and the mean of its class, (R,).

    Args:
        features: (R, D): unit descriptors.
        classes: (R,): class of each region.
    """
    cosines = np.zeros(len(classes), np.float32)
    for class_id in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == class_id)
        members = features[rows]
        mean = members.mean(0)
        cosines[rows] = members @ (mean / max(float(np.linalg.norm(mean)), 1e-9))
    return cosines


def _least_certain(
    probabilities: NDArray[np.float32], said: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows of regions of which nothing was said, the smallest margin between two classes first."""
    if probabilities.shape[1] < 2:
        return np.flatnonzero(said < 0)
    best = np.partition(probabilities, -2, axis=1)[:, -2:]
    order = np.argsort(best[:, 1] - best[:, 0], kind="stable")
    return order[said[order] < 0]
