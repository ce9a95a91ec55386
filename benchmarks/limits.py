"""What limits the scores: NMI, ARI and F1 when each step in turn knows the answer.

The steps are those of the default preset: which regions are normal, the centres of the classes,
and the class of each region from these. `supervised` is what a linear classifier reaches that
learns the labels of four fifths of the images: what the descriptors can tell apart at best. Every
kind of maps is a rung as well. Written as JSON, one file for all sets, and printed.

    ANOMALYNCD_DATA=... python benchmarks/limits.py [--sets pill] [--kinds zero_shot masks]
"""

import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from anomalyncd.discovery.classifier import Descriptor
from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.discovery.normality import (
    N_NORMAL_CENTRES,
    Normality,
    fit_normality,
)
from anomalyncd.discovery.prototypes import kmeans, spherical_kmeans
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS
from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd.io.json_files import read_json, write_json
from common import FOLDERS, RESULTS, keep_no_tokens, machine
from reading import KINDS, LEFT_OUT, Read, read_set


class Ladder:
    """The steps of a discovery, each of which may be told the truth.

    Args:
        read: Regions of a set.
    """

    def __init__(self, read: Read) -> None:
        self.read = read
        descriptor, vectors = Descriptor(read.widths, centred=True), torch.from_numpy(read.vectors)
        descriptor.fit(vectors)
        self.features: NDArray[np.float32] = descriptor(vectors).numpy()
        self.labels = read.labels[read.regions.image]
        self.kinds = sorted(set(read.labels) - {LEFT_OUT}, key=lambda one: (not _normal(one), one))
        self.normal = np.array([_normal(one) for one in self.labels])

    def discovered(self, seed: int, true_normal: bool, true_centres: bool) -> NDArray[np.float32]:
        """Class probabilities of the regions, (R, K)."""
        if true_normal and self.normal.any():
            weights = self.normal.astype(np.float32)
            centres, _ = kmeans(self.features[self.normal], N_NORMAL_CENTRES, seed)
            normality = Normality(self.features, 1 - weights, _unit(centres), 0.5)
        else:
            scores, split = self.read.regions.score, self.read.max_normal_score
            normality, weights = fit_normality(self.features, scores, seed, split)
        if true_centres:
            prototypes = self._means()
        else:
            found, seed = self.read.regions.found | true_normal, seed * 1000
            start = spherical_kmeans(self.features, weights, len(self.kinds), seed, found)
            prototypes = start.numpy()
        cosines = self.features @ prototypes.T
        return normality.posterior(self.features, cosines, weights, STUDENT_TEMPERATURE)

    def supervised(self) -> NDArray[np.float32]:
        """Class probabilities of regions whose images took no part in the learning, (R, K)."""
        known = self.labels != LEFT_OUT
        found = np.full((len(self.labels), len(self.kinds)), 1 / len(self.kinds), np.float32)
        found[known] = cross_val_predict(
            LogisticRegression(C=30, max_iter=300),
            self.features[known],
            self.labels[known],
            groups=self.read.regions.image[known],
            cv=GroupKFold(5),
            method="predict_proba",
        )
        return found

    def scores(self, probabilities: NDArray[np.float32]) -> tuple[float, float, float]:
        """NMI, ARI and F1 of the images."""
        merged = self.read.merged(probabilities, np.arange(len(self.labels))).argmax(1)
        counted = self.read.labels != LEFT_OUT
        score = cluster_scores(self.read.labels[counted], merged[counted])
        return score.nmi, score.ari, score.f1

    def _means(self) -> NDArray[np.float32]:
        return _unit(np.stack([self.features[self.labels == one].mean(0) for one in self.kinds]))


def _normal(label: str) -> bool:
    return label.lower() in NORMAL_LABELS


def _unit(vectors: NDArray) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def ladder(read: Read, seeds: int) -> dict[str, list[float]]:
    """Mean NMI, ARI and F1 over seeds of each rung."""
    steps = Ladder(read)
    rungs = {
        "now": (False, False),
        "true normal": (True, False),
        "true centres": (False, True),
        "both": (True, True),
    }
    measured = {
        name: [steps.scores(steps.discovered(seed, *known)) for seed in range(seeds)]
        for name, known in rungs.items()
    }
    measured["supervised"] = [steps.scores(steps.supervised())]
    return {name: np.mean(values, 0).round(3).tolist() for name, values in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--maps", type=Path, help="keep maps and what was read here")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_no_tokens()
    path = options.out / "limits.json"
    results = read_json(path, "result") if path.is_file() else {"sets": {}}
    with tempfile.TemporaryDirectory() as work:
        for name, kind in product(options.sets, options.kinds):
            rungs = ladder(read_set(name, kind, options.maps or Path(work)), options.seeds)
            results["sets"].setdefault(name, {})[kind] = rungs
            write_json(path, results | machine())
            print(f"{name}, {kind}: {rungs}", flush=True)


if __name__ == "__main__":
    main()
