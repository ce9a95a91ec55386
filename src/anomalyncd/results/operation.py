"""What a line needs of a model besides its predictions: the operating point and the severities."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from anomalyncd.io.component import Component
from anomalyncd.labels.state import LabelClass, LabelState
from anomalyncd.results.operating_point import OperatingPoint

if TYPE_CHECKING:
    from anomalyncd.results.run_folder import Run


@dataclass(frozen=True)
class Operation(Component):
    """The operating point of a model, and how serious its classes are by the label book."""

    point: OperatingPoint | None = None
    """The threshold between good and not good; None where none was chosen."""
    ids: tuple[int, ...] = ()
    """Ids of the classes that the label book describes, merged ones included."""
    severities: tuple[str, ...] = ()
    """`minor`, `major`, `critical` or "", for each of them."""
    escape_costs: tuple[float | None, ...] = ()
    """Cost when a defect of each of them passes; None where nobody said."""

    @classmethod
    def of_run(cls, run: "Run", point: OperatingPoint | None, corrected: bool) -> Self:
        """Takes the severities and costs from the label book of a run, if it has one.

        Args:
            run: A finished run.
            point: Its operating point.
            corrected: Whether its model states classes of the label book, or those of the
                discovery.
        """
        described = _described(run.labels.state, corrected) if run.has_labels else {}
        return cls(
            point,
            tuple(described),
            tuple(one.severity for one in described.values()),
            tuple(one.escape_cost for one in described.values()),
        )

    @property
    def threshold(self) -> float | None:
        """Score above which an image is not good; None where none was chosen."""
        return None if self.point is None else self.point.threshold

    def severity(self, class_id: int) -> str:
        """Returns the severity of a class, "" where nobody said."""
        return dict(zip(self.ids, self.severities, strict=True)).get(class_id, "")

    def escape_cost(self, class_id: int) -> float | None:
        """Returns the cost when a defect of a class passes; None where nobody said."""
        return dict(zip(self.ids, self.escape_costs, strict=True)).get(class_id)


def _described(state: LabelState, corrected: bool) -> dict[int, LabelClass]:
    """The classes of a label book by their ids in a model."""
    if corrected:
        return dict(sorted(state.classes.items()))
    ids = enumerate(state.discovered)
    return {number: state.classes[state.resolve(class_id)] for number, class_id in ids}
