"""What other answers and another split of normal regions would gain, simulated from labels.

The person is simulated as in `clicks.py`, in the proposed order, on random 80 % of the images of a
run (one choice for each seed). Compared are

- `regions`: one answer names one region, as in the product;
- `images`: one answer names an image, and all its regions get its kind;
- `split`: before each refit, the answers recalibrate how probably each region is normal.

Writes one JSON file for each run below `benchmarks/results/answers/`.

    python benchmarks/answers.py RUN [RUN ...] [--seeds 5] [--out FOLDER]
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray
from scipy.optimize import minimize

from anomalyncd.correction.asking import order_to_ask
from clicks import BATCH, COUNTS, Names, Sample, corrected, measure_each_run, named, scored

RESULTS = Path(__file__).parent / "results" / "answers"
SHARE = 0.8
"""Share of the images that each seed chooses."""
FLOOR = 0.02
SPREAD = np.array([0.5, 1.0, 0.5])
"""How far slope, intercept and weight of the score are expected to be from 1, 0 and 0."""
WAYS = ("regions", "images", "split")


@dataclass
class Session:
    """What was answered so far."""

    sample: Sample
    names: Names
    said: NDArray[np.int64]
    way: str

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Class probabilities that follow, (R, C)."""
        if self.way != "split" or not (self.said >= 0).any():
            return corrected(self.sample, self.names, self.said, 0)
        mapped = corrected(self.sample, self.names, np.full_like(self.said, -1), 0)
        split = recalibrated(mapped, self.sample.regions.score, self.said)
        names = Names(self.names.names, np.arange(len(self.names.names)))
        return corrected(replace(self.sample, probabilities=split), names, self.said, 0)

    def answer(self, row: int, kind: str) -> None:
        """Names a region."""
        if kind not in self.names.names:
            self.names = Names((*self.names.names, kind), self.names.classes_of)
        self.said[row] = self.names.names.index(kind)


def measure(whole: Sample, n_seeds: int) -> dict[str, Any]:
    """Scores for each way after each number of answers."""
    measured: dict[str, Any] = {}
    for way in WAYS:
        parts = (some_images(whole, seed) for seed in range(n_seeds))
        runs = [dict(simulated(part, way)) for part in parts]
        counts = [count for count in COUNTS if all(count in one for one in runs)]
        measured[way] = {str(count): _summary([one[count] for one in runs]) for count in counts}
    return measured


def some_images(sample: Sample, seed: int) -> Sample:
    """A random choice of the images of a sample, with their regions."""
    n_images = len(sample.labels)
    chosen = np.sort(np.random.default_rng(seed).permutation(n_images)[: int(SHARE * n_images)])
    index = np.full(n_images, -1)
    index[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(index[sample.regions.image] >= 0)
    regions = sample.regions.select(rows)
    run: Any = SimpleNamespace(features=sample.run.features[rows])
    return Sample(
        run,
        replace(regions, image=index[sample.regions.image[rows]]),
        sample.probabilities[rows],
        sample.kinds[rows],
        sample.labels[chosen],
        sample.temperature[chosen],
    )


def simulated(sample: Sample, way: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Scores after each number of answers."""
    session = Session(sample, named(sample), np.full(len(sample.kinds), -1), way)
    image, askable = sample.regions.image, sample.scored[sample.regions.image]
    probabilities = session.probabilities
    for count in range(BATCH, max(COUNTS) + 1, BATCH):
        rows = order_to_ask(sample.run.features, sample.regions, probabilities, session.said, 0)
        rows = rows[askable[rows] & (session.said[rows] < 0)]
        if way == "images":
            images = list(dict.fromkeys(image[rows].tolist()))[:BATCH]
            for one in images:
                for row in np.flatnonzero(image == one):
                    session.answer(row, str(sample.labels[one]))
        else:
            for row in rows[:BATCH]:
                session.answer(row, str(sample.kinds[row]))
        if not len(rows):
            return
        probabilities = session.probabilities
        if count in COUNTS:
            asked = np.flatnonzero(session.said >= 0)
            scores = scored(sample, session.names, probabilities, asked)
            everything = scored(sample, session.names, probabilities, asked[:0])
            if scores["n_images"]:
                yield count, {"f1": scores["f1"], "f1_all": everything["f1"]}


def recalibrated(
    probabilities: NDArray[np.float32], score: NDArray[np.float32], said: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Class probabilities (R, C) whose normal share follows the answers by a logistic regression.

    Its evidence is the earlier share and the anomaly score of a region.
    """
    odds = np.log(probabilities[:, 0] + FLOOR) - np.log(1 + FLOOR - probabilities[:, 0])
    logarithm = np.log(np.maximum(score, 0) + 0.01)
    scaled = (logarithm - logarithm.mean()) / max(float(logarithm.std()), 1e-6)
    evidence = np.stack([odds, np.ones_like(odds), scaled], axis=1)
    rows, start = np.flatnonzero(said >= 0), np.array([1.0, 0.0, 0.0])

    def loss(weights: NDArray[np.float64]) -> float:
        logits = evidence[rows] @ weights
        fit = np.logaddexp(0, logits) - (said[rows] == 0) * logits
        return float(fit.sum() + 0.5 * (((weights - start) / SPREAD) ** 2).sum())

    normal = scipy.special.expit(evidence @ minimize(loss, start).x)
    defects = probabilities[:, 1:].sum(1, keepdims=True)
    even = 1 / max(1, probabilities.shape[1] - 1)
    shares = np.where(defects > 1e-6, probabilities[:, 1:] / np.maximum(defects, 1e-12), even)
    return np.hstack([normal[:, None], shares * (1 - normal)[:, None]]).astype(np.float32)


def _summary(runs: list[dict[str, float]]) -> dict[str, float]:
    summary = {key: round(float(np.mean([one[key] for one in runs])), 3) for key in runs[0]}
    return summary | {"f1_deviation": round(float(np.std([one["f1"] for one in runs])), 3)}


if __name__ == "__main__":
    measure_each_run(measure, __doc__, RESULTS, 5)
