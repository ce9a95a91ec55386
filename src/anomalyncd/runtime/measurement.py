"""Time and memory of the stages of a run."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anomalyncd.runtime.logs import LOG

_MEASURABLE = 0.01
"""Seconds; a stage that has nothing to do takes less, and is left out."""


class Stages:
    """Seconds and peak memory of each stage of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_memory_mb: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measures what happens within; peak memory is that of the process up to its end."""
        start = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - start, 2)
        if seconds >= _MEASURABLE:
            self.seconds[name] = seconds
            self.peak_memory_mb[name] = round(peak_memory_mb())
            LOG.info("%s: %.1f s", name, seconds)


def forget_peak_memory() -> None:
    """Lets `peak_memory_mb` begin anew, where the system can: on Linux."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Most memory that the process has held at once, in MB."""
    if sys.platform == "win32":
        return 0.0  # Windows does not tell without a further dependency.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
