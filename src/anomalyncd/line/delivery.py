"""Gives results to their sinks, again and again until each has taken them."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anomalyncd.errors import InputError
from anomalyncd.line.sinks import Sink
from anomalyncd.line.watch_state import WatchState

_log = logging.getLogger(__name__)
_TICK = 0.2
"""Seconds between two looks at what is due."""
_LAST_SECONDS = 20.0
"""How long the end of a watch waits for a drive or another program that failed."""


def deliver_due(state: WatchState, sinks: Sequence[Sink]) -> None:
    """Gives what is due to each sink; one that fails gets nothing more for now.

    Args:
        state: The results.
        sinks: The sinks.
    """
    for sink in sinks:
        for finished in state.due(sink.name):
            try:
                sink.deliver(finished)
            except (OSError, InputError) as error:
                wait = state.failed(finished.id, sink.name, str(error))
                _log.warning(
                    "%s: '%s' could not be delivered (%s); trying again in %.0f s",
                    *(sink.name, finished.path, error, wait),
                )
                break
            state.delivered(finished.id, sink.name)


def deliver_last(state: WatchState, sinks: Sequence[Sink], wait: bool) -> None:
    """Gives what is due to each sink at the end of a watch.

    Args:
        state: The results.
        sinks: The sinks.
        wait: Whether to wait some seconds for what has failed and will be tried again.
    """
    end = time.monotonic() + (_LAST_SECONDS if wait else 0.0)
    deliver_due(state, sinks)
    while any(state.n_pending(one.name) for one in sinks) and time.monotonic() < end:
        time.sleep(_TICK)
        deliver_due(state, sinks)


@contextmanager
def delivering(folder: Path, sinks: Sequence[Sink], drain: bool) -> Iterator[None]:
    """Gives results to sinks in a thread of its own, so that no slow program holds up the line.

    Args:
        folder: Holds the results.
        sinks: The sinks.
        drain: Whether the end waits some seconds for what has not been delivered.
    """
    if not sinks:
        yield
        return
    stop = threading.Event()

    def work() -> None:
        state = WatchState(folder)
        try:
            while not stop.wait(_TICK):
                deliver_due(state, sinks)
            deliver_last(state, sinks, drain)
        finally:
            state.close()
            for sink in sinks:
                sink.close()

    thread = threading.Thread(target=work, name="delivery")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
