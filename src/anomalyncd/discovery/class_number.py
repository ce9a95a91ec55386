"""How many classes there are: an estimate with an interval, from the descriptors of the regions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from anomalyncd.config import ClassNumberConfig
from anomalyncd.discovery.class_number_criteria import (
    LabelledRegions,
    base_criteria,
    clusterings,
    eigengaps,
    silhouettes,
    stabilities,
)
from anomalyncd.discovery.normality import fit_normality
from anomalyncd.regions.table import Regions

SHARE_OF_IMAGES = 0.8
MOST_PER_IMAGE = 2
MOST_IMAGES = 1000
"""Images of a resample; more would take time with their square and say little more."""
IMAGES_PER_CLASS = 5
INTERVAL = (0.1, 0.9)


@dataclass(frozen=True)
class ClassNumber:
    """An estimated number of classes, the normal one included, and what it rests on."""

    estimate: int
    """Number of classes."""
    low: int
    """Eight in ten resamples of the images give a number from `low` ..."""
    high: int
    """... to `high`."""
    grid: tuple[int, ...]
    """Numbers of classes that were compared; empty where there were too few images."""
    criteria: dict[str, tuple[float, ...]]
    """Value of each criterion at each number of `grid`, the higher the better."""
    votes: dict[str, int]
    """Number of classes that each criterion chooses alone."""

    def __str__(self) -> str:
        """ "7 classes (likely 6 to 9)"."""
        if not self.grid:
            return f"{self.estimate} classes (too few images with a defect to tell)"
        return f"{self.estimate} classes (likely {self.low} to {self.high})"

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "ClassNumber":
        """Reads what `dataclasses.asdict` made and JSON has kept.

        Raises:
            KeyError: A field is missing.
            TypeError: One is of another kind.
            ValueError: A number cannot be read.
        """
        return cls(
            int(record["estimate"]),
            int(record["low"]),
            int(record["high"]),
            tuple(int(one) for one in record["grid"]),
            {name: tuple(map(float, values)) for name, values in record["criteria"].items()},
            {name: int(vote) for name, vote in record["votes"].items()},
        )


def estimate_n_classes(
    features: NDArray[np.float32],
    regions: Regions,
    known: LabelledRegions | None,
    config: ClassNumberConfig,
    seed: int,
) -> ClassNumber:
    """Estimates how many classes the regions fall into (our own combination).

    The regions that are surely normal are one class, even if there are none. The others are
    resampled: a share of the images, and at most two regions of each, so that an image with many
    does not dominate. On each resample every criterion chooses a number of classes; their median is
    the estimate of the resample, and the median over the resamples is the result.

    Args:
        features: Unit descriptors, (R, D), before any training.
        regions: The regions.
        known: Regions of the base set; None without one.
        config: Largest number of classes, and number of resamples.
        seed: Seed of everything random.
    """
    _, normal = fit_normality(features, regions, seed)
    anomalous = normal <= 0.5
    n_normal = int(anomalous.any())
    if not n_normal:
        anomalous = np.ones(len(features), bool)
    features, image = features[anomalous], regions.image[anomalous]
    kinds = _kinds(features, image, config)
    if len(kinds) < 2:
        return ClassNumber(2, 2, 2, (), {}, {})
    reduced = _reduce(features, config.n_components, seed)
    resamples = list(_resamples(image, config.n_resamples, seed))
    labels = np.stack([clusterings(reduced, rows, kinds, seed) for rows in resamples])
    curves = _curves(reduced, resamples, labels, kinds)
    if known is not None:
        curves |= base_criteria(features, known, resamples, kinds, seed)
    best = [np.take(kinds, values.argmax(1)) for values in curves.values()]
    estimate, low, high = _summary(np.median(best, axis=0))
    means = {name: values.mean(0) for name, values in curves.items()}
    return ClassNumber(
        max(2, estimate + n_normal),
        max(2, low + n_normal),
        max(2, high + n_normal),
        tuple(k + n_normal for k in kinds),
        {name: tuple(map(float, values)) for name, values in means.items()},
        {name: kinds[int(values.argmax())] + n_normal for name, values in means.items()},
    )


def _kinds(
    features: NDArray[np.float32], image: NDArray[np.int64], config: ClassNumberConfig
) -> list[int]:
    """Numbers of kinds to compare; images and different regions both bound them."""
    n_images, n_different = len(np.unique(image)), len(np.unique(features, axis=0))
    most = min(config.max_classes - 1, n_images // IMAGES_PER_CLASS, n_different // 3)
    return list(range(2, most + 1))


def _reduce(features: NDArray[np.float32], n_components: int, seed: int) -> NDArray[np.float64]:
    """Unit vectors along the principal components, (R, d)."""
    count = min(n_components, len(features) - 1)
    vectors = PCA(count, random_state=seed).fit_transform(features.astype(np.float64))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    reduced: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return reduced


def _resamples(
    image: NDArray[np.int64], n_resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Rows of the regions of each resample."""
    rng = np.random.default_rng(seed)
    images = np.unique(image)
    for _ in range(n_resamples):
        count = min(MOST_IMAGES, round(SHARE_OF_IMAGES * len(images)))
        drawn = rng.choice(images, count, replace=False)
        rows = rng.permutation(np.flatnonzero(np.isin(image, drawn)))
        order = rows[np.argsort(image[rows], kind="stable")]
        _, first, position = np.unique(image[order], return_index=True, return_inverse=True)
        yield np.sort(order[np.arange(len(order)) - first[position] < MOST_PER_IMAGE])


def _curves(
    reduced: NDArray[np.float64],
    resamples: list[NDArray[np.int64]],
    labels: NDArray[np.int64],
    kinds: list[int],
) -> dict[str, NDArray[np.float64]]:
    """Each criterion on each resample at each number of kinds, (n_resamples, n_kinds)."""
    return {
        "silhouette": np.stack(
            [
                silhouettes(reduced[rows], own[:, rows])
                for rows, own in zip(resamples, labels, strict=True)
            ]
        ),
        "stability": stabilities(labels),
        "eigengap": np.stack([eigengaps(reduced[rows], kinds) for rows in resamples]),
    }


def _summary(counts: NDArray[np.float64]) -> tuple[int, int, int]:
    """Median and ends of the interval, whole numbers."""
    estimate = int(np.floor(np.median(counts) + 0.5))
    low, high = np.quantile(counts, INTERVAL)
    return estimate, min(estimate, int(np.floor(low + 0.5))), max(estimate, int(np.ceil(high)))
