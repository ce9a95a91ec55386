"""False alarms and delays of the comparison of a line with its fit, on streams of verdicts.

Verdicts are drawn with replacement from the images of a finished run, a look each hour. First for
weeks without a change; then with a new kind on some of the images, from the first image on or after
a week without it. `--normal` draws that share of the images from the normal class, as on a line
where defects are rare. Prints one line of JSON for each run.

    python benchmarks/drift.py RUN ... [--normal 0.98] [--recall 0.45 --far 0.15]
"""

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.line.drift import DriftMonitor, Observation
from anomalyncd.results.fit_counts import FitCounts
from anomalyncd.results.run_folder import Run, read_run

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = 24 * 7
MOST = 3000
"""Images after which a new kind counts as not noticed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--weeks", type=int, default=30)
    parser.add_argument("--images", type=int, default=60, help="images an hour")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--delays", type=int, default=50, help="repeats with a new kind")
    parser.add_argument("--normal", type=float, help="share of normal images; default as found")
    parser.add_argument("--share", type=float, default=0.05, help="share of the new kind")
    parser.add_argument("--recall", type=float, default=1.0, help="share of it that is unseen")
    parser.add_argument("--far", type=float, default=1.0, help="share of it that is far")
    options = parser.parse_args()
    for folder in options.runs:
        run = read_run(folder)
        line = Line(run, options.normal, np.random.default_rng(0))
        alarms = [_alarms(line, options) for _ in range(options.repeats)]
        fresh, settled = (
            [_delay(line, options, hours) for _ in range(options.delays)] for hours in (0, WEEK)
        )
        figures = {
            "run": str(folder),
            "normal": options.normal,
            "unseen_in_fit": round(float(run.images["unseen"].mean()), 4),
            "weeks": options.weeks,
            "false_alarms": alarms,
            "images_until_noticed": {
                "from the first image": _spread(fresh),
                "after a week": _spread(settled),
            },
        }
        print(json.dumps(figures), flush=True)


def _alarms(line: "Line", options: argparse.Namespace) -> int:
    """Number of times that an alarm begins within weeks without a change."""
    monitor, before, alarms = line.monitor(), False, 0
    for hour in range(options.weeks * WEEK):
        _add(monitor, hour, line.draw(options.images))
        now = monitor.drift() is not None
        alarms += now and not before
        before = now
    return alarms


def _delay(line: "Line", options: argparse.Namespace, hours_before: int) -> int:
    """Images from the first that may show a new kind until it is noticed, a look every 10."""
    monitor = line.monitor()
    for hour in range(hours_before):
        _add(monitor, hour, line.draw(options.images))
    # A false alarm that began before is not counted as noticed.
    false = {drift.subject for drift in monitor.drifts()}
    for count in range(10, MOST, 10):
        images = line.draw_with_new_kind(10, options)
        _add(monitor, hours_before + (count - 10) // options.images, images)
        if {drift.subject for drift in monitor.drifts()} - false:
            return count
    return MOST


class Line:
    """Draws verdicts from the images of a run; `normal` is the share of normal ones, if given."""

    def __init__(self, run: Run, normal: float | None, rng: np.random.Generator) -> None:
        self.images, self.classes, self.normal, self.rng = run.images, run.classes, normal, rng
        columns = (run.images[name] for name in ("unseen", "novelty", "class", "score"))
        self.verdicts = [Observation(*values) for values in zip(*columns, strict=True)]
        is_normal = run.images["normal"].to_numpy(bool)
        self.good, self.bad = np.flatnonzero(is_normal), np.flatnonzero(~is_normal)

    def monitor(self) -> DriftMonitor:
        """Compares with the run; where normal images are more frequent, with 500 of that mix."""
        images = self.images
        if self.normal is not None:
            images = images.iloc[self._rows(500)]
        return DriftMonitor(FitCounts.of_images(images, self.classes))

    def draw(self, count: int) -> list[Observation]:
        """Verdicts without a new kind."""
        return [self.verdicts[row] for row in self._rows(count)]

    def draw_with_new_kind(self, count: int, options: argparse.Namespace) -> list[Observation]:
        """Verdicts of which some are of the new kind: scores and classes of anomalous images."""
        drawn = self.draw(count)
        for index in np.flatnonzero(self.rng.random(count) < options.share):
            like = self.verdicts[self.rng.choice(self.bad)]
            unseen = bool(self.rng.random() < options.recall)
            novelty = 1.0 if self.rng.random() < options.far / options.recall else 0.97
            drawn[index] = replace(like, unseen=unseen, novelty=novelty)
        return drawn

    def _rows(self, count: int) -> NDArray[np.int64]:
        if self.normal is None:
            return self.rng.integers(len(self.verdicts), size=count)
        good, bad = self.rng.choice(self.good, count), self.rng.choice(self.bad, count)
        return np.where(self.rng.random(count) < self.normal, good, bad)


def _add(monitor: DriftMonitor, hour: int, images: list[Observation]) -> None:
    for image in images:
        monitor.add(START + timedelta(hours=hour), image)


def _spread(delays: list[int]) -> dict[str, float]:
    return {"median": float(np.median(delays)), "worst": max(delays)}


if __name__ == "__main__":
    main()
