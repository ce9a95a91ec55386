"""What follows from what a person said: class probabilities, and which regions to ask about."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.correction.asking import order_to_ask
from anomalyncd.discovery.sampling import blocks, mean_of
from anomalyncd.labels.book import LabelBook
from anomalyncd.labels.state import LabelState
from anomalyncd.results.corrections import fit_run, regions_of
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


@dataclass(frozen=True, eq=False)
class Given:
    """All that a refit depends on beside the run."""

    said: NDArray[np.int64]
    """(R,): class that a person gave each region, or -1."""
    classes_of: NDArray[np.int64]
    """(K,): id of the class to which each discovered class belongs."""
    n_classes: int
    """One more than the highest id of a class."""

    @property
    def key(self) -> bytes:
        """The same for what gives the same result, but for classes without any region."""
        return hashlib.sha256(self.said.tobytes() + self.classes_of.tobytes()).digest()


def given_by(labels: LabelBook, state: LabelState) -> Given:
    """Returns what a label book says in one of its states."""
    said, classes_of = labels.said(state), labels.classes_of_discovery(state)
    return Given(said, classes_of, max(state.classes) + 1)


def refit(run: Run, given: Given) -> Refit:
    """Fits the classes of a run again to what was said, as `correct_run` does.

    Args:
        run: The run.
        given: What was said.
    """
    regions, seed = regions_of(run), int(run.record["parameters"]["random_state"])
    _, probabilities = fit_run(run, given.said, given.classes_of, given.n_classes, seed)
    order = order_to_ask(run.features, regions, probabilities, given.said, seed)
    return Refit(probabilities, order, typicality(run.features, probabilities.argmax(1)))


def unfitted(run: Run, given: Given) -> Refit:
    """Returns what holds until the first refit: the discovery, whatever was said.

    Args:
        run: The run.
        given: What was said.
    """
    probabilities = discovered(run, given)
    order = np.flatnonzero(given.said < 0)
    return Refit(probabilities, order, np.zeros(len(probabilities), np.float32))


def discovered(run: Run, given: Given) -> NDArray[np.float32]:
    """Class probabilities of the discovery by id of the class, (R, C).

    A discovered class that belongs to none gives its regions no probability.

    Args:
        run: The run.
        given: What was said.
    """
    probabilities = np.zeros((len(run.probabilities), given.n_classes), np.float32)
    for index, class_id in enumerate(given.classes_of.tolist()):
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
        mean = mean_of(features, rows)
        direction = mean / max(float(np.linalg.norm(mean)), 1e-9)
        for block in blocks(len(rows)):
            cosines[rows[block]] = features[rows[block]] @ direction
    return cosines
