"""What a check of inputs finds: facts, warnings, and faults, raised at once or collected."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from anomalyncd.errors import InputError
from anomalyncd.io.files import attempt_each, read_each

Result = TypeVar("Result")

MOST_NAMED = 12
"""Of more kinds than this, the rest is counted."""


@dataclass
class Findings:
    """What a check of inputs found."""

    collect: bool = False
    """Whether the check goes on after a fault; otherwise the first fault is raised."""
    facts: list[tuple[str, str]] = field(default_factory=list)
    """What was understood: a word or two, and the finding."""
    warnings: list[str] = field(default_factory=list)
    """What may be wrong though it can be used, a few sentences each, with the remedy."""
    problems: list[str] = field(default_factory=list)
    """Everything that is wrong, a line each, with the remedy; empty unless `collect`."""

    def attempt(self, open_it: Callable[[], Result]) -> Result | None:
        """Returns what a call returns; None where it raised and its fault was collected.

        Raises:
            InputError: What the call raises, unless `collect`.
        """
        try:
            return open_it()
        except InputError as error:
            if not self.collect:
                raise
            self.problems.append(str(error))
            return None

    def read_each(
        self, read: Callable[[int], Result], count: int, what: str
    ) -> list[Result | None]:
        """Returns what `read` returns for 0 .. count - 1; None where a fault was collected.

        Args:
            read: Reads or checks the item of one index; called in threads.
            count: Number of items.
            what: A few words for the progress bar.

        Raises:
            InputError: The first fault and the number of further ones, unless `collect`.
        """
        if not self.collect:
            return list(read_each(read, count, what))
        outcomes = list(attempt_each(read, count, what))
        self.problems += [str(outcome) for outcome in outcomes if isinstance(outcome, InputError)]
        return [None if isinstance(outcome, InputError) else outcome for outcome in outcomes]

    def add_fact(self, what: str, finding: str) -> None:
        """Adds one thing that was understood."""
        self.facts.append((what, finding))

    def warn(self, warning: str) -> None:
        """Adds what may be wrong, and how to mend it; the inputs can still be used."""
        self.warnings.append(warning)


def count_values(values: Iterable[str]) -> str:
    """Returns each value with its number, the most frequent first: "good (3), hole (1)"."""
    counts = Counter(value or "(blank)" for value in values).most_common()
    shown = ", ".join(f"{value} ({count})" for value, count in counts[:MOST_NAMED])
    rest = len(counts) - MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
