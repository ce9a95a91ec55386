"""How well classes that were left out are recognised as unseen, and how far confidence is right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anomalyncd.discovery.discover import classify
from anomalyncd.embedding.region_store import RegionStore, store_of
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS
from anomalyncd.evaluation.metrics import match_classes
from anomalyncd.pipeline import Pipeline
from anomalyncd.results.aggregation import merge_regions, merging_temperature
from anomalyncd_bench.data_sets import BenchSet
from anomalyncd_bench.results import score_text

MEASURES = ("auroc", "aupr", "fpr95")
DEFAULT = "default"
"""Name of the outlier score that the library uses."""


@dataclass(frozen=True)
class Unseen:
    """Leaves one kind of defect out, discovers classes among the other images but for one fold,
    and scores that fold and the kind that was left out.

    Maps, masks and tokens are made with all images, so a kind is left out of the classes only.
    """

    n_folds: int = 5
    """Folds of the images of known kinds."""
    title: ClassVar[str] = "Unseen kinds of defects"
    note: ClassVar[str] = (
        "AUROC of outlier scores, mean over the kinds that were left out. Rejected: share of the "
        "anomalous regions of known kinds that count as unseen. Calibration error: mean gap "
        "between the confidence in the classes of images and the share of right ones."
    )

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> dict[str, Any]:
        """Scores of the outlier scores, the share that is rejected, and the calibration."""
        return {
            "scores": self._leave_one_out(pipeline, bench_set, seed),
            "rejected_when_known": self._rejected_when_known(pipeline, bench_set, seed),
            **_confidence(pipeline, bench_set, seed),
        }

    def row(self, result: Mapping[str, Any]) -> dict[str, str]:
        """The figures of one result."""
        means = {name: kinds["mean"]["auroc"] for name, kinds in result["scores"].items()}
        shares = {"rejected": "rejected_when_known", "calibration error": "calibration_error"}
        means |= {shown: result[name] for shown, name in shares.items()}
        return {name: score_text(value) for name, value in means.items()}

    def _leave_one_out(
        self, pipeline: Pipeline, bench_set: BenchSet, seed: int
    ) -> dict[str, dict[str, dict[str, float]]]:
        """AUROC, AUPR and false positive rate at 95 % recall of each score for each kind."""
        labels, image = bench_set.labels, pipeline.regions.image
        results: dict[str, dict[str, dict[str, float]]] = {}
        for kind in np.unique(labels[bench_set.scored]):
            if kind.lower() in NORMAL_LABELS:
                continue
            known = np.flatnonzero((labels != kind) & bench_set.scored)
            fold = np.random.default_rng(seed).permutation(len(known)) % self.n_folds
            measured: dict[str, list[tuple[float, ...]]] = {}
            for index in range(self.n_folds):
                tested = np.concatenate([known[fold == index], np.flatnonzero(labels == kind)])
                rows = np.flatnonzero(np.isin(image, known[fold != index]))
                new = np.flatnonzero(np.isin(image, tested))
                part = _restricted(pipeline, rows, len(np.unique(labels[known])), seed)
                truth = labels[np.sort(tested)] == kind
                for name, values in _outlier_scores(pipeline, part, new).items():
                    of_images = _of_images(pipeline, values[:, None], new)[:, 0]
                    measured.setdefault(name, []).append(_measures(truth, of_images))
            for name, folds in measured.items():
                means = np.mean(folds, 0).round(3).tolist()
                results.setdefault(name, {})[str(kind)] = dict(zip(MEASURES, means, strict=True))
        for kinds in results.values():
            means = [np.mean([one[measure] for one in kinds.values()]) for measure in MEASURES]
            kinds["mean"] = {m: round(float(v), 3) for m, v in zip(MEASURES, means, strict=True)}
        return results

    def _rejected_when_known(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> float:
        """Share of the anomalous regions of known kinds that are unseen without their image."""
        n_images, regions = len(bench_set.labels), pipeline.regions
        fold = np.random.default_rng(seed).permutation(n_images) % self.n_folds
        n_classes = len(np.unique(bench_set.labels))
        unseen = []
        for index in range(self.n_folds):
            held_out = fold[regions.image] == index
            part = _restricted(pipeline, np.flatnonzero(~held_out), n_classes, seed)
            new = np.flatnonzero(held_out & regions.found)
            features, probabilities = _classify(pipeline, part, new)
            config = part.context.config.reliability
            model, chosen = part.reliability[0], regions.select(new)
            unseen.append(model.apply(features, chosen, probabilities, config).unseen)
        return round(float(np.concatenate(unseen).mean()), 3)


def _restricted(pipeline: Pipeline, rows: NDArray[np.int64], n_classes: int, seed: int) -> Pipeline:
    """A pipeline that discovers anew from some of the regions."""
    part = pipeline.reuse(pipeline.context.config, seed, n_classes)
    part.results["regions"] = pipeline.regions.select(rows)
    part.results["tokens"] = _select(pipeline.tokens, rows)
    return part


def _select(tokens: RegionStore, rows: NDArray[np.int64]) -> RegionStore:
    return store_of({name: one[rows] for name, one in tokens.tensors.items()})


def _classify(
    pipeline: Pipeline, part: Pipeline, new: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Descriptors and class probabilities of other regions."""
    found, tokens = part.discovery, _select(pipeline.tokens, new)
    return classify(found.classifier, found.normality, tokens, pipeline.regions.select(new))


def _outlier_scores(
    pipeline: Pipeline, part: Pipeline, new: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """The score of the library and simpler ones, (B,) each, for regions that are new to a part."""
    features, probabilities = _classify(pipeline, part, new)
    regions, detector = pipeline.regions.select(new), part.reliability[0].novelty_detector
    default = np.zeros(len(new), np.float32)
    if detector is not None:
        # An image without an anomalous region is no kind of defect.
        default = np.where(regions.found, detector.scores(features, regions.area), default)
    return {
        "largest probability": -probabilities.max(1),
        "nearest region": 1 - (features @ part.discovery.features.T).max(1),
        DEFAULT: default,
    }


def _of_images(
    pipeline: Pipeline, values: NDArray[np.float32], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Values of regions, (B, K), aggregated over their images, in ascending order of these."""
    images, index = np.unique(pipeline.regions.image[rows], return_inverse=True)
    temperatures = merging_temperature(*pipeline.inputs.sizes[images].T)
    areas = pipeline.regions.area[rows]
    return merge_regions(values, areas, index, len(images), temperatures)


def _measures(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, ...]:
    wrong, right, _ = roc_curve(truth, scores)
    auroc, aupr = roc_auc_score(truth, scores), average_precision_score(truth, scores)
    return float(auroc), float(aupr), float(wrong[right >= 0.95].min())


def _confidence(pipeline: Pipeline, bench_set: BenchSet, seed: int) -> dict[str, float]:
    """How well the calibrated confidence in the classes of images agrees with the truth."""
    labels, scored = bench_set.labels, bench_set.scored
    rows = np.flatnonzero(scored[pipeline.regions.image])
    part = _restricted(pipeline, rows, bench_set.n_classes, seed)
    decided = _of_images(pipeline, part.discovery.probabilities, rows).argmax(1)
    calibrated = _of_images(pipeline, part.reliability[1].calibrated, rows)
    confidence = calibrated[np.arange(len(decided)), decided]
    matched = match_classes(labels[scored], decided)
    right = np.array([matched.get(one) for one in decided]) == labels[scored]
    return {
        "right": round(float(right.mean()), 3),
        "mean_confidence": round(float(confidence.mean()), 3),
        "calibration_error": calibration_error(confidence, right),
    }


def calibration_error(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], n_bins: int = 10
) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal bins.

    Args:
        confidence: (N,), 0..1.
        right: Whether each is right, (N,).
        n_bins: Bins of equal width.
    """
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs((confidence - right)[bins == one].sum()) for one in range(n_bins)]
    return round(float(np.sum(gaps) / len(right)), 3)
