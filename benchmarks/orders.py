"""Orders in which a person is asked: ours, a random one, and strategies of scikit-activeml.

The person is simulated as in `clicks.py`. A strategy sees the descriptors, the answers so far and,
where it asks for a classifier, the class probabilities of our correction. After each number of
answers there are two figures: F1 of the images on which no region was asked about, and of all
images, the answered ones included, since an order also chooses which images are left over.
scikit-activeml is no dependency: `pip install scikit-activeml` in an environment of its own.

    python benchmarks/orders.py RUN [RUN ...] [--seeds 3] [--out FOLDER]
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skactiveml import pool
from skactiveml.base import SkactivemlClassifier

from anomalyncd.correction.asking import order_to_ask
from clicks import BATCH, COUNTS, Names, Sample, corrected, measure_each_run, named, scored

RESULTS = Path(__file__).parent / "results" / "orders"
FEWEST_IMAGES = 20
"""Fewer images that were not asked about are not scored."""


class Correction(SkactivemlClassifier):
    """The class probabilities of our correction, as a classifier that is fitted already."""

    def __init__(self, features: NDArray[np.float32], probabilities: NDArray[np.float32]) -> None:
        super().__init__(classes=np.arange(probabilities.shape[1]))
        self.features, self.probabilities = features, probabilities
        self.classes_ = np.arange(probabilities.shape[1])

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Correction":
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        rows = {row.tobytes(): index for index, row in enumerate(self.features)}
        return self.probabilities[[rows[row.tobytes()] for row in np.asarray(X, np.float32)]]

    def predict(self, X: Any) -> NDArray[np.int64]:
        return self.predict_proba(X).argmax(1)


def measure(sample: Sample, n_seeds: int) -> dict[str, Any]:
    """Scores for each order after each number of answers."""
    measured: dict[str, Any] = {}
    for order in ("proposed", "random", *STRATEGIES):
        runs = [dict(simulated(sample, order, seed)) for seed in range(n_seeds)]
        measured[order] = {str(count): _summary([one[count] for one in runs]) for count in runs[0]}
    return measured


def simulated(sample: Sample, order: str, seed: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Scores after each number of answers."""
    names, said = named(sample), np.full(len(sample.kinds), -1)
    askable = np.flatnonzero(sample.scored[sample.regions.image])
    probabilities = corrected(sample, names, said, seed)
    for count in range(BATCH, max(COUNTS) + 1, BATCH):
        rows = next_rows(sample, order, probabilities, said, askable, seed)
        if not len(rows):
            return
        for row in rows:
            if sample.kinds[row] not in names.names:
                names = Names((*names.names, sample.kinds[row]), names.classes_of)
            said[row] = names.names.index(sample.kinds[row])
        probabilities = corrected(sample, names, said, seed)
        if count in COUNTS:
            yield count, _scores(sample, names, probabilities, said, seed)


def next_rows(
    sample: Sample,
    order: str,
    probabilities: NDArray[np.float32],
    said: NDArray[np.int64],
    askable: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:
    """The regions that are asked about next."""
    features = sample.run.features
    candidates = np.flatnonzero(said[askable] < 0)
    if order not in STRATEGIES or not len(candidates):
        rows = np.random.default_rng(seed).permutation(len(said))
        if order == "proposed":
            rows = order_to_ask(features, sample.regions, probabilities, said, seed)
        return rows[np.isin(rows, askable[candidates])][:BATCH]
    make, fitted = STRATEGIES[order]
    classifier = Correction(features[askable], probabilities[askable])
    arguments = {fitted: classifier, f"fit_{fitted}": False} if fitted else {}
    answers = np.where(said[askable] >= 0, said[askable], np.nan).astype(float)
    chosen = make(seed).query(
        features[askable],
        answers,
        candidates=candidates,
        batch_size=min(BATCH, len(candidates)),
        **arguments,
    )
    return askable[chosen]


STRATEGIES: dict[str, tuple[Any, str]] = {
    "margin": (
        lambda seed: pool.UncertaintySampling(method="margin_sampling", random_state=seed),
        "clf",
    ),
    "TypiClust": (lambda seed: pool.TypiClust(random_state=seed), ""),
    "ProbCover": (lambda seed: pool.ProbCover(random_state=seed), ""),
    "CoreSet": (lambda seed: pool.CoreSet(random_state=seed), ""),
    "BADGE": (lambda seed: pool.Badge(random_state=seed), "clf"),
    "CLUE": (lambda seed: pool.Clue(random_state=seed), "estimator"),
    "MaxHerding": (lambda seed: pool.MaxHerding(random_state=seed), ""),
    "FALCUN": (lambda seed: pool.Falcun(random_state=seed), "clf"),
}
"""How each strategy is made from a seed, and what it calls the classifier that it is given."""


def _scores(
    sample: Sample,
    names: Names,
    probabilities: NDArray[np.float32],
    said: NDArray[np.int64],
    seed: int,
) -> dict[str, float]:
    asked = np.flatnonzero(said >= 0)
    everything = scored(sample, names, probabilities, asked[:0])
    result = {"f1_all": everything["f1"], "accuracy_all": everything["accuracy"]}
    others = scored(sample, names, probabilities, asked)
    if others["n_images"] < FEWEST_IMAGES:
        return result
    before = corrected(sample, names, np.full_like(said, -1), seed)
    uncorrected = scored(sample, names, before, asked)["f1"]
    return {"f1": others["f1"], "uncorrected_f1": uncorrected, **result}


def _summary(runs: list[dict[str, float]]) -> dict[str, float]:
    summary = {key: round(float(np.mean([one[key] for one in runs])), 3) for key in runs[0]}
    deviation = np.std([one["f1_all"] for one in runs])
    return summary | {"f1_all_deviation": round(float(deviation), 3)}


if __name__ == "__main__":
    measure_each_run(measure, __doc__, RESULTS)
