"""The classes of all regions and images after some action, as the page shows them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from anomalyncd.labels.state import NORMAL, LabelState
from anomalyncd.review.arrays import RunArrays
from anomalyncd.review.refit import Refit

N_TYPICAL, N_BORDERLINE = 6, 3
N_TO_ASK = 100
"""A person is asked about so many regions at a time."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What holds after one action; nothing in it changes any more."""

    arrays: RunArrays
    state: LabelState
    said: NDArray[np.int64]
    """(R,): what a person said, or -1."""
    refit: Refit
    """The last one that is finished, which may be older."""
    probabilities: NDArray[np.float32]
    """(R, C): by id of the class, with what was said since the refit."""
    classes: NDArray[np.int64]
    """(R,): the most probable class."""
    confidence: NDArray[np.float32]
    """(R,): its probability."""
    refitting: bool = False
    """Whether something was said since the refit."""

    @property
    def version(self) -> int:
        """Number of the last action."""
        return self.state.last

    @cached_property
    def image_probabilities(self) -> NDArray[np.float64]:
        """(N, C): merged as a corrected run merges them. Regions of ignored classes only count
        where an image has no others, and then as normal."""
        arrays, n_images = self.arrays, len(self.arrays.names)
        ignored = [one.id for one in self.state.in_use if one.kind == "ignored"]
        left_out = np.isin(self.classes, ignored)
        others = np.bincount(arrays.image, ~left_out, n_images) > 0
        weights = np.where(left_out & others[arrays.image], 0.0, arrays.weight)
        shares = weights / np.bincount(arrays.image, weights, n_images)[arrays.image]
        rows = np.arange(len(weights))
        merge = csr_array((shares, (arrays.image, rows)), shape=(n_images, len(weights)))
        merged: NDArray[np.float64] = merge @ self.probabilities.astype(np.float64)
        merged[:, NORMAL] += merged[:, ignored].sum(1)
        merged[:, ignored] = 0
        return merged

    @cached_property
    def image_classes(self) -> NDArray[np.int64]:
        """(N,): the most probable class of each image."""
        return np.asarray(self.image_probabilities.argmax(1))

    @cached_property
    def n_regions(self) -> NDArray[np.int64]:
        """(C,): number of regions of each class."""
        return np.bincount(self.classes, minlength=self.probabilities.shape[1])

    @cached_property
    def n_images(self) -> NDArray[np.int64]:
        """(C,): number of images of each class."""
        return np.bincount(self.image_classes, minlength=self.probabilities.shape[1])

    @cached_property
    def n_said(self) -> NDArray[np.int64]:
        """(C,): number of regions that a person put into each class."""
        return np.bincount(self.said[self.said >= 0], minlength=self.probabilities.shape[1])

    @cached_property
    def trends(self) -> NDArray[np.int64]:
        """(C, parts): number of regions of each class in consecutive parts of the images."""
        n_classes, n_parts = self.probabilities.shape[1], self.arrays.n_parts
        cells = self.classes * n_parts + self.arrays.part
        return np.bincount(cells, minlength=n_classes * n_parts).reshape(n_classes, n_parts)

    @cached_property
    def to_ask(self) -> NDArray[np.int64]:
        """Rows of the regions to ask about next."""
        order = self.refit.to_ask
        return order[(self.said[order] < 0) & self.arrays.found[order]][:N_TO_ASK]

    @cached_property
    def new(self) -> NDArray[np.int64]:
        """Rows of the regions that resemble no class, and of which nobody said anything."""
        return np.flatnonzero(self.arrays.unseen & (self.said < 0) & self.arrays.found)

    def members(self, class_id: int) -> NDArray[np.int64]:
        """Rows of the regions of a class, the surest first."""
        order, ends = self._by_class
        return order[ends[class_id] : ends[class_id + 1]]

    def typical(self, class_id: int) -> NDArray[np.int64]:
        """Rows of up to six typical regions of a class."""
        rows = self._shown(class_id)
        unchanged = self._unchanged[rows]
        order = np.lexsort((-self.confidence[rows], -self.refit.typicality[rows], ~unchanged))
        return rows[order[:N_TYPICAL]]

    def borderline(self, class_id: int) -> NDArray[np.int64]:
        """Rows of up to three regions that are least sure to belong to a class."""
        rows = self._shown(class_id)
        return rows[self.said[rows] < 0][::-1][:N_BORDERLINE]

    @cached_property
    def _by_class(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All rows by class and falling confidence, and where each class begins, (C + 1,)."""
        surest = np.argsort(-self.confidence, kind="stable")
        order = surest[np.argsort(self.classes[surest].astype(np.int16), kind="stable")]
        return order, np.concatenate([[0], np.cumsum(self.n_regions)])

    @cached_property
    def _unchanged(self) -> NDArray[np.bool_]:
        """(R,): whether a region is in the class that the refit put it into."""
        return np.asarray(self.refit.probabilities.argmax(1) == self.classes)

    def _shown(self, class_id: int) -> NDArray[np.int64]:
        """The regions of a class without those that stand in for an image without a region."""
        rows = self.members(class_id)
        found = rows[self.arrays.found[rows]]
        return found if len(found) else rows


def take_snapshot(
    arrays: RunArrays,
    state: LabelState,
    said: NDArray[np.int64],
    refit: Refit,
    discovery: NDArray[np.float32],
) -> Snapshot:
    """Puts what was said on top of the last refit, which may be older.

    Args:
        arrays: The run.
        state: Its classes.
        said: (R,): what a person said, or -1.
        refit: The last refit.
        discovery: (R, C): probabilities of the discovery, for regions of a class that is no more.
    """
    n_classes = max(state.classes) + 1
    probabilities = np.zeros((len(said), n_classes), np.float32)
    n_known = min(n_classes, refit.probabilities.shape[1])
    probabilities[:, :n_known] = refit.probabilities[:, :n_known]
    for class_id in range(n_known):
        known = state.classes.get(class_id)
        if known is None:
            probabilities[:, class_id] = 0
        elif known.merged_into is not None:
            probabilities[:, state.resolve(class_id)] += probabilities[:, class_id]
            probabilities[:, class_id] = 0
    lost = np.flatnonzero(probabilities.sum(1) < 0.5)
    probabilities[lost] = discovery[lost]
    rows = np.flatnonzero(said >= 0)
    probabilities[rows] = 0
    probabilities[rows, said[rows]] = 1
    classes = probabilities.argmax(1)
    confidence = probabilities[np.arange(len(said)), classes]
    return Snapshot(arrays, state, said, refit, probabilities, classes, confidence)
