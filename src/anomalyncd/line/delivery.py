"""Gives results to their sinks, again and again until each has taken them."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
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
            # Whatever a library makes of an answer, the next results are not to wait for ever.
            except Exception as error:
                if not isinstance(error, OSError | InputError):
                    _log.exception("%s: '%s' could not be delivered", sink.name, finished.path)
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
    thread = threading.Thread(target=_work, args=(folder, sinks, stop, drain), name="delivery")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _work(folder: Path, sinks: Sequence[Sink], stop: threading.Event, drain: bool) -> None:
    """Delivers until it is stopped; a failure of the disk is said once, and tried again."""
    said = ""
    with closing(WatchState(folder)) as state, ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.close)
        while not stop.wait(_TICK):
            try:
                deliver_due(state, sinks)
            except Exception as error:
                if str(error) != said:
                    _log.exception("results could not be delivered; trying again")
                said = str(error)
        deliver_last(state, sinks, drain)
