"""What limits the scores: discoveries in which some steps know the true classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from anomalyncd.discovery.discover import describe_start
from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.discovery.normality import N_NORMAL_CENTRES, Normality, fit_normality
from anomalyncd.discovery.prototypes import kmeans, spherical_kmeans
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS
from anomalyncd.pipeline import Pipeline
from anomalyncd.results.predictions import RegionClasses, aggregate
from anomalyncd_bench.data_sets import BenchSet


@dataclass(frozen=True)
class Oracle:
    """The untrained discovery of the default preset, two steps of which may know the true classes.

    Without either it finds the same classes as the default preset.
    """

    normal: bool = False
    """Whether it is known which regions are normal."""
    centres: bool = False
    """Whether the prototypes are the means of the regions of each true class."""

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> NDArray[np.int64]:
        """Class of each image, (N,)."""
        features, _ = describe_start(pipeline.context, pipeline.regions, pipeline.tokens, None)
        labels = bench_set.labels[pipeline.regions.image]
        normality, normal = self._normality(pipeline, features, labels, seed)
        classes = _true_classes(bench_set)
        if self.centres:
            means = [features[labels == one].mean(0) for one in classes]
            prototypes = _unit(np.stack(means))
        else:
            start = spherical_kmeans(features, normal, len(classes), seed * 1000)
            prototypes = start.numpy()
        cosines = features @ prototypes.T
        posterior = normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)
        return _of_images(pipeline, features, posterior)

    def _normality(
        self,
        pipeline: Pipeline,
        features: NDArray[np.float32],
        labels: NDArray[np.str_],
        seed: int,
    ) -> tuple[Normality, NDArray[np.float32]]:
        """How surely regions are normal, from the true classes or from the anomaly scores."""
        normal = _is_normal(labels)
        if not (self.normal and normal.any()):
            return fit_normality(features, pipeline.regions, seed)
        weights = normal.astype(np.float32)
        centres, _ = kmeans(features[normal], N_NORMAL_CENTRES, seed)
        return Normality(features, 1 - weights, _unit(centres), 0.5), weights


@dataclass(frozen=True)
class Supervised:
    """A linear classifier that learns the labels of four fifths of the images and predicts the
    others: how well the descriptors can separate the true classes."""

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> NDArray[np.int64]:
        """Class of each image, (N,); the seed has no effect."""
        features, _ = describe_start(pipeline.context, pipeline.regions, pipeline.tokens, None)
        image = pipeline.regions.image
        known, n_classes = bench_set.scored[image], bench_set.n_classes
        probabilities = np.full((len(image), n_classes), 1 / n_classes, np.float32)
        probabilities[known] = cross_val_predict(
            LogisticRegression(C=30, max_iter=300),
            features[known],
            bench_set.labels[image][known],
            groups=image[known],
            cv=GroupKFold(5),
            method="predict_proba",
        )
        return _of_images(pipeline, features, probabilities)


def _true_classes(bench_set: BenchSet) -> list[str]:
    """The classes that count, the normal one first."""
    classes = np.unique(bench_set.labels[bench_set.scored])
    return [*classes[_is_normal(classes)], *classes[~_is_normal(classes)]]


def _is_normal(labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.isin(np.char.lower(labels), NORMAL_LABELS)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _of_images(
    pipeline: Pipeline, features: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> NDArray[np.int64]:
    classes = RegionClasses(features, probabilities)
    rule = pipeline.context.config.aggregation.rule
    predictions = aggregate(pipeline.inputs, pipeline.regions, classes, rule)
    return np.asarray(predictions.images["class"], np.int64)
