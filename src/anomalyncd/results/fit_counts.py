"""Counts of the images of a fit, which those of a line are compared with."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from anomalyncd.io.component import Component

FAR = 0.995
"""Novelty above which an unseen image is far from everything known."""
_LEVELS = (0.2, 0.4, 0.6, 0.8)
"""Shares of the images of the fit that the edges between score bins divide."""


@dataclass(frozen=True)
class FitCounts(Component):
    """How many images of a fit were unseen, of each class, and within each range of scores."""

    n_images: int
    """Number of images."""
    n_unseen: int
    """Images that resembled none of the others."""
    n_far: int
    """Those among them whose novelty is above `FAR`."""
    class_ids: tuple[int, ...]
    """Ids of the classes."""
    n_of_class: tuple[int, ...]
    """Images of each class, by the most likely one."""
    class_names: tuple[str, ...]
    """Name of each class."""
    score_edges: tuple[float, ...]
    """Scores between the bins, ascending; () where scores are not to be compared."""
    n_of_scores: tuple[int, ...]
    """Images of each bin, one more than edges; a score at an edge belongs to the bin below."""

    @classmethod
    def of_images(cls, images: pd.DataFrame, classes: pd.DataFrame) -> Self:
        """Counts the images of a discovery.

        Args:
            images: The columns `class`, `unseen`, `novelty` and `score` of `Predictions.images`.
            classes: The columns `class` and `class_name` of `Predictions.classes`.
        """
        ids = tuple(int(number) for number in classes["class"])
        of_class = images["class"].value_counts()
        scores = images["score"].to_numpy(np.float64)
        edges = tuple(float(edge) for edge in np.unique(np.quantile(scores, _LEVELS)))
        return cls(
            n_images=len(images),
            n_unseen=int(images["unseen"].sum()),
            n_far=int((images["unseen"] & (images["novelty"] > FAR)).sum()),
            class_ids=ids,
            n_of_class=tuple(int(of_class.get(number, 0)) for number in ids),
            class_names=tuple(str(name) for name in classes["class_name"]),
            score_edges=edges,
            n_of_scores=_binned(scores, edges),
        )

    def without_scores(self) -> Self:
        """Returns the counts without scores, for a model that scores otherwise than the fit did."""
        return replace(self, score_edges=(), n_of_scores=(self.n_images,))


def _binned(scores: np.ndarray, edges: tuple[float, ...]) -> tuple[int, ...]:
    bins = np.searchsorted(edges, scores, side="left")
    return tuple(int(count) for count in np.bincount(bins, minlength=len(edges) + 1))
