"""What a label book says of a run to which regions are about to be added."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomalyncd.labels.book import LabelBook
from anomalyncd.labels.state import LabelState


@dataclass(frozen=True, eq=False)
class LabelsAhead:
    """A label book as it will be once regions were added, of which nothing was said yet.

    The file stays as it is, so that the run is unchanged if the adding is interrupted.
    """

    state: LabelState
    """What was said so far, by anyone."""
    classes: NDArray[np.int64]
    """Class that a person gave each region, (R,), or -1."""
    discovered: NDArray[np.int64]
    """Id of the class that each class of the discovery belongs to now, (K,)."""

    @classmethod
    def of(cls, labels: LabelBook, n_added: int) -> Self:
        """The label book of a run with further regions behind those that it has."""
        classes = np.concatenate([labels.said(), np.full(n_added, -1, np.int64)])
        return cls(labels.state, classes, labels.classes_of_discovery())

    def said(self) -> NDArray[np.int64]:
        """Class that a person gave each region of the run, (R,), or -1."""
        return self.classes

    def classes_of_discovery(self) -> NDArray[np.int64]:
        """Id of the class that each class of the discovery belongs to now, (K,)."""
        return self.discovered
