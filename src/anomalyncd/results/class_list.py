"""The classes that predictions are stated in: those of a discovery, or those a person made."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomalyncd.io.component import Component
from anomalyncd.labels.state import LabelState, class_names


@dataclass(frozen=True)
class ClassList(Component):
    """Classes in use, by ascending id; the first is the normal one, with the id 0.

    Probabilities have a column for each id that was ever given, so that a column never changes its
    meaning; those of classes that were merged into others are 0.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    """`defect`, `not a defect` or `ignored`, see `LabelClass.kind`."""
    n_ids: int
    """Number of columns of probabilities."""

    @classmethod
    def discovered(cls, n_classes: int) -> Self:
        """ "normal", "class 1", "class 2", ... until a person gives better names."""
        kinds = ("not a defect", *["defect"] * (n_classes - 1))
        return cls(tuple(range(n_classes)), tuple(class_names(n_classes)), kinds, n_classes)

    @classmethod
    def of_labels(cls, state: LabelState) -> Self:
        """The classes of a label book."""
        used = state.in_use
        return cls(
            tuple(one.id for one in used),
            tuple(one.name for one in used),
            tuple(one.kind for one in used),
            state.next_id,
        )

    @property
    def by_id(self) -> dict[int, str]:
        """Names by id."""
        return dict(zip(self.ids, self.names, strict=True))

    @property
    def normal(self) -> NDArray[np.bool_]:
        """Whether a class counts as normal, by id, (n_ids,)."""
        return self._among("not a defect", "ignored")

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """Whether regions of a class do not count, by id, (n_ids,)."""
        return self._among("ignored")

    def _among(self, *kinds: str) -> NDArray[np.bool_]:
        among = np.zeros(self.n_ids, bool)
        among[[one for one, kind in zip(self.ids, self.kinds, strict=True) if kind in kinds]] = True
        return among
