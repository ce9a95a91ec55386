"""Places of all regions on the map of a review, computed once and stored."""

import io
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from anomalyncd.report.projection import project
from anomalyncd.results.run_folder import Run
from anomalyncd.review.file_store import FileStore

_FILE = "places.npy"
_FEWEST = 10
"""Fewer regions are not projected, but stand in a row."""


class Places:
    """The regions in the plane, similar ones close to each other.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.store = run, FileStore(run)
        self._lock = Lock()
        self._points: NDArray[np.float64] | None = None

    def points(self) -> NDArray[np.float64]:
        """Returns the place of each region, (R, 2), in 0..1; the first call takes seconds."""
        with self._lock:
            if self._points is None:
                self._points = self._stored()
            if self._points is None:
                self._points = self._computed()
                file = io.BytesIO()
                np.save(file, self._points, allow_pickle=False)
                self.store.save(_FILE, file.getvalue())
            return self._points

    def _stored(self) -> NDArray[np.float64] | None:
        content = self.store.load(_FILE)
        if content is None:
            return None
        try:
            points = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError):
            return None
        return points if points.shape == (len(self.run.features), 2) else None

    def _computed(self) -> NDArray[np.float64]:
        count = len(self.run.features)
        if count < _FEWEST:
            return np.column_stack([np.linspace(0, 1, count), np.full(count, 0.5)])
        points = project(self.run.features)
        low, span = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-9)
        scaled: NDArray[np.float64] = ((points - low) / span).round(4)
        return scaled
