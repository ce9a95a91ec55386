"""Progress bars for long work, which appear only on a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yields the items while a bar on standard error shows the progress and the time left.

    Args:
        items: The items of the work.
        what: A few words for the bar, for instance "Reading images".
        total: Number of items, if `items` has no length.

    Yields:
        The items, unchanged. If standard error is not a terminal, no bar is drawn.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield from progress.track(items, total=total, description=what)
