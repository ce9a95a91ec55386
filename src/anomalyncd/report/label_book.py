"""The label book in the report: what a person said, and when."""

from dataclasses import dataclass

import numpy as np

from anomalyncd.labels.history import Line, lines
from anomalyncd.labels.state import LabelClass, first_colour
from anomalyncd.report.plots import N_COLOURS, colour
from anomalyncd.results.run_folder import Run


@dataclass(frozen=True, eq=False)
class LabelBookSection:
    """What the report says of the label book."""

    classes: list[tuple[LabelClass, int]]
    """The classes in use, and how many regions of each a person confirmed."""
    history: list[Line]
    """What was done, the last action first."""
    colours: dict[str, str]
    """Colours that a person chose, by their names in the style sheet."""
    n_pending: int
    """Actions since the classes were last refitted; the tables do not follow them yet."""


def label_book_section(run: Run) -> LabelBookSection | None:
    """Reads the label book of a run; None where nobody said anything."""
    if not run.has_labels:
        return None
    book = run.labels
    history = lines(book.history, book.state)
    if len(history) < 2:
        return None
    said = book.said()
    classes = [(one, int(np.count_nonzero(said == one.id))) for one in book.state.in_use]
    used = book.state.in_use
    chosen = [one for one in used if one.id < N_COLOURS and one.colour != first_colour(one.id)]
    colours = {colour(one.id): one.colour for one in chosen}
    return LabelBookSection(classes, history[::-1], colours, book.n_pending)
