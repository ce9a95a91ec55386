"""What faults are tried on, how often, and for how long."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from fault_kinds.commands import prepare, warm_up

Rows = Iterator[dict[str, Any]]


class Named(Protocol):
    """Something that a fault is done to."""

    @property
    def name(self) -> str: ...


Thing = TypeVar("Thing", bound=Named)


@dataclass(frozen=True)
class Trials:
    """The trials of one kind of fault."""

    work: Path
    """Everything is done in it."""
    only: tuple[str, ...]
    """Names of what the fault is done to; empty for everything."""
    n_tries: int
    """How often it is tried on each."""
    seconds: float
    """How long it is tried on each at most."""
    rng: random.Random

    @property
    def made(self) -> Path:
        """What all commands read."""
        return self.work / "made"

    def on(self, things: Sequence[Thing]) -> Iterator[Thing]:
        """Prepares what commands read, then yields what the fault is done to."""
        warm_up(self.work / "warm")
        prepare(self.made)
        yield from (one for one in things if not self.only or one.name in self.only)

    def numbers(self) -> Iterator[int]:
        """Counts the tries on one thing."""
        end = time.monotonic() + self.seconds
        for number in range(self.n_tries):
            if time.monotonic() > end:
                break
            yield number
