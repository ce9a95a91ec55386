"""Classes of regions that follow from what a person said."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.io.component import Component
from anomalyncd.regions.table import Regions


@dataclass(frozen=True, eq=False)
class Correction(Component):
    """Turns the class probabilities of a discovery into those of a label book."""

    mapping: NDArray[np.float32]
    """(K, C): 1 where a class of the discovery belongs to a class now."""

    def apply(
        self,
        features: NDArray[np.float32],
        scores: NDArray[np.float32],
        probabilities: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Class probabilities of new regions, (B, C)."""
        return probabilities @ self.mapping


def fit_correction(
    features: NDArray[np.float32],
    regions: Regions,
    probabilities: NDArray[np.float32],
    said: NDArray[np.int64],
    n_classes: int,
    classes_of: NDArray[np.int64],
    seed: int,
) -> tuple[Correction, NDArray[np.float32]]:
    """Merges classes and holds what was said."""
    mapping = np.zeros((len(classes_of), n_classes), np.float32)
    known = classes_of >= 0
    mapping[np.flatnonzero(known), classes_of[known]] = 1
    correction = Correction(mapping)
    corrected = correction.apply(features, regions.score, probabilities)
    rows = np.flatnonzero(said >= 0)
    corrected[rows] = 0
    corrected[rows, said[rows]] = 1
    return correction, corrected
