"""Says of a watched folder when its images begin to differ from those of the fit."""

import csv
import io
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from anomalyncd.io.key import key
from anomalyncd.line.drift import Drift, DriftMonitor, Observation
from anomalyncd.line.watch_state import Finished, WatchState
from anomalyncd.results.fit_counts import FitCounts

FILE = "drift.csv"
COLUMNS = ("found", "subject", "since", "share", "share_of_fit", "sentence")
"""Columns of `drift.csv`; without a subject, the row says that a difference is over."""
OVER = "the images no longer differ from those that the model was made from"
_EVERY = 60.0
"""Seconds between two looks."""
_log = logging.getLogger(__name__)


class DriftLog:
    """Adds a row to a table, and a line to the log, when a difference is found or is over.

    The images that the same model has seen before are counted again at the start.

    Args:
        folder: Holds the table.
        state: Results of the watched folder.
        fit: Counts of the images of the fit; None for a model without them, which says nothing.
    """

    def __init__(self, folder: Path, state: WatchState, fit: FitCounts | None) -> None:
        self._path = folder / FILE
        self._monitor = None if fit is None else DriftMonitor(fit)
        self._next_look = 0.0
        self._subject = _last_subject(self._path)
        self.drift: Drift | None = None
        """What was found by the last look."""
        if self._monitor is not None:
            for finished, unseen, novelty, class_id, score in state.observed(key(fit)):
                image = Observation(bool(unseen), novelty, class_id, score)
                self._monitor.add(datetime.fromisoformat(finished), image)

    def add(self, finished: Finished) -> None:
        """Counts a result."""
        verdict = finished.verdict
        if self._monitor is not None and verdict is not None:
            self._monitor.add(datetime.fromisoformat(finished.finished), Observation.of(verdict))

    def look(self, again: bool = False) -> None:
        """Looks for a difference, unless the last look was a moment ago.

        Args:
            again: Looks in any case.
        """
        if self._monitor is None or not (again or time.monotonic() >= self._next_look):
            return
        self.drift = self._monitor.drift()
        self._next_look = time.monotonic() + _EVERY
        subject = "" if self.drift is None else self.drift.subject
        if subject != self._subject:
            _log.warning("%s", self.drift or OVER)
            self._subject = subject
            try:
                self._write()
            except OSError as error:
                _log.warning("'%s' could not be written (%s)", self._path, error)

    def _write(self) -> None:
        drift, found = self.drift, datetime.now(UTC).isoformat(timespec="seconds")
        cells = [found, "", "", "", "", OVER]
        if drift is not None:
            shares = (f"{drift.share:.4f}", f"{drift.share_of_fit:.4f}")
            cells = [found, drift.subject, drift.since.isoformat(), *shares, str(drift)]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        if not self._path.exists():
            table.writerow(COLUMNS)
        table.writerow(cells)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())


def _last_subject(path: Path) -> str:
    """What the table said last, so that a watch that goes on does not say it again."""
    if not path.exists():
        return ""
    # A damaged table must not keep a watch from its images.
    with path.open(encoding="utf-8", errors="replace", newline="") as file, suppress(csv.Error):
        rows = list(csv.DictReader(file))
        return (rows[-1].get("subject") or "") if rows else ""
    return ""
