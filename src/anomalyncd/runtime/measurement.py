"""Time and peak memory of the stages of a run."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anomalyncd.runtime.logs import LOG

_MEASURABLE = 0.01
"""In seconds; a stage that has nothing to do takes less and is not recorded."""


class Stages:
    """Seconds and peak memory of each stage of a run.

    Args:
        logged: Whether each stage is logged when it ends.
    """

    def __init__(self, logged: bool = True) -> None:
        self._logged = logged
        self.seconds: dict[str, float] = {}
        self.peak_memory_mb: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[list[str]]:
        """Measures the time within, and the peak memory of the process up to the end of it.

        Args:
            name: Name of the stage.

        Yields:
            An empty list, for what the stage has worked on: "45 images". It is logged.
        """
        start, done = time.perf_counter(), list[str]()
        yield done
        seconds = round(time.perf_counter() - start, 2)
        if seconds >= _MEASURABLE:
            self.seconds[name] = seconds
            self.peak_memory_mb[name] = round(peak_memory_mb())
            if self._logged:
                LOG.info("%s: %s", name.replace("_", " "), ", ".join([*done, f"{seconds:.1f} s"]))


def forget_peak_memory() -> None:
    """Resets `peak_memory_mb` to the memory in use now; only Linux can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Returns the peak memory of the process in MB, 0 on Windows."""
    if sys.platform == "win32":
        return 0.0  # It would need a further dependency.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
