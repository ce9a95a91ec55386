"""Who does the work on each image: this process, or the workers of a cluster."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Does the same work on each of many items."""

    def map(
        self, make: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Yields the result of each item, in the order of the items.

        Args:
            make: Makes the function that does the work, once in each worker. It is pickled, and so
                are items and results.
            items: What to work on; each may be worked on twice, if a worker dies.
        """


class ThisProcess:
    """Works on one item after the other, in this process."""

    def map(
        self, make: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[Result]:
        """See `Engine.map`; nothing is pickled."""
        yield from map(make(), items)
