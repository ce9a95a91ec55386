"""Criteria for the number of clusters that need no label."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.spatial
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import adjusted_rand_score, silhouette_score

N_STARTS = 3


def clusterings(
    vectors: NDArray[np.float64], rows: NDArray[np.int64], kinds: list[int], seed: int
) -> NDArray[np.int64]:
    """k-means on some rows, for each number of clusters, and the nearest centre of every row.

    Args:
        vectors: (R, d).
        rows: Those that k-means sees.
        kinds: Numbers of clusters.
        seed: Of the starts.

    Returns:
        (len(kinds), R).
    """
    models = [KMeans(k, n_init=N_STARTS, random_state=seed).fit(vectors[rows]) for k in kinds]
    return np.stack([model.predict(vectors) for model in models]).astype(np.int64)


def silhouettes(vectors: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean silhouette with cosine distances of each clustering.

    Args:
        vectors: Unit vectors, (R, d).
        labels: (n_clusterings, R).

    Returns:
        (n_clusterings,), -1..1; -1 where it is not defined.
    """
    distances = np.maximum(1 - vectors @ vectors.T, 0)
    np.fill_diagonal(distances, 0)
    values = [
        silhouette_score(distances, one, metric="precomputed")
        if 1 < len(np.unique(one)) < len(one)
        else -1.0
        for one in labels
    ]
    return np.array(values)


def stabilities(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How well the clusterings of each resample agree with those of the others.

    Args:
        labels: Of all regions by each resample's centres, (n_resamples, n_clusterings, R).

    Returns:
        Mean adjusted Rand index, (n_resamples, n_clusterings).
    """
    n_resamples, n_clusterings, _ = labels.shape
    agreement = np.zeros((n_resamples, n_resamples, n_clusterings))
    for one in range(n_resamples):
        for other in range(one):
            values = [
                adjusted_rand_score(labels[one, k], labels[other, k]) for k in range(n_clusterings)
            ]
            agreement[one, other] = agreement[other, one] = values
    mean: NDArray[np.float64] = agreement.sum(1) / max(n_resamples - 1, 1)
    return mean


def eigengaps(vectors: NDArray[np.float64], kinds: list[int]) -> NDArray[np.float64]:
    """Gap after the k-th smallest eigenvalue of the normalised Laplacian, for each k.

    The affinity joins nearest neighbours, scaled by how far the last of them is on either side.

    Args:
        vectors: (R, d).
        kinds: Values of k, below R.

    Returns:
        (len(kinds),).

    Source: von Luxburg, "A tutorial on spectral clustering", 2007; the scale of the affinity is
        that of Zelnik-Manor and Perona, "Self-tuning spectral clustering", 2004.
    """
    affinity = _affinity(vectors)
    root = np.sqrt(np.maximum(affinity.sum(1), 1e-12))
    laplacian = np.eye(len(vectors)) - affinity / root[:, None] / root
    last = min(max(kinds), len(vectors) - 1)
    values = scipy.linalg.eigvalsh(laplacian, subset_by_index=(0, last))
    padded = np.concatenate([values, np.full(max(kinds) - last, values[-1])])
    gaps: NDArray[np.float64] = np.diff(padded)[np.array(kinds) - 1]
    return gaps


def _affinity(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    n_regions = len(vectors)
    n_neighbours = min(n_regions - 1, max(4, round(2 * np.log(n_regions))))
    distances, nearest = scipy.spatial.KDTree(vectors).query(vectors, n_neighbours + 1)
    scale = np.maximum(distances[:, -1], 1e-12)
    closeness = np.exp(-(distances**2) / (scale[:, None] * scale[nearest]))
    affinity = np.zeros((n_regions, n_regions))
    np.put_along_axis(affinity, nearest, closeness, axis=1)
    np.fill_diagonal(affinity, 0)
    return np.maximum(affinity, affinity.T)


_N_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class LabelledRegions:
    """Regions of known classes, described like the novel ones."""

    features: NDArray[np.float32]
    """(B, D): unit descriptors."""
    labels: NDArray[np.int64]
    """(B,): classes, 0 .. n - 1."""


def base_criteria(
    features: NDArray[np.float32],
    known: LabelledRegions,
    resamples: list[NDArray[np.int64]],
    kinds: list[int],
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Two scores of each number of novel classes, on each resample.

    Half of the labelled regions keep their class in a semi-supervised k-means over all regions; the
    other half tells how good its clusters are.

    Args:
        features: Unit descriptors of the novel regions, (R, D).
        known: Labelled regions.
        resamples: Rows of the novel regions of each resample.
        kinds: Numbers of novel classes.
        seed: Of the halves and of the starts.

    Returns:
        `labelled accuracy`, the share of held-out labelled regions in the cluster of their class
        after the best match (GCD, Vaze et al., 2022), and `prototype score`, the accuracy of the
        nearest base centre plus the mean cosine of the base centres with those of the regions
        given to them (after ProtoGCD; our reconstruction), each (n_resamples, n_kinds).
    """
    if np.bincount(known.labels).max() < 2:
        return {}  # None can be held out.
    rng = np.random.default_rng(seed)
    n_base = int(known.labels.max()) + 1
    accuracy = np.zeros((len(resamples), len(kinds)))
    prototypes = np.zeros_like(accuracy)
    for index, rows in enumerate(resamples):
        held = _held_out(known.labels, rng)
        taught, labels = known.features[~held], known.labels[~held]
        free = np.concatenate([known.features[held], features[rows]])
        centres = _unit(np.stack([taught[labels == k].mean(0) for k in range(n_base)]))
        starts, _ = kmeans_plusplus(features[rows], max(kinds), random_state=(seed + index) % 2**32)
        for column, n_novel in enumerate(kinds):
            start = np.concatenate([centres, starts[:n_novel]])
            found = _semi_supervised(free, taught, labels, start)
            given = found[: held.sum()]
            accuracy[index, column] = _matched(known.labels[held], given, len(start))
            direct = float((given == known.labels[held]).mean())
            prototypes[index, column] = direct + _likeness(free, found, centres)
    return {"labelled accuracy": accuracy, "prototype score": prototypes}


def _held_out(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Half of each class, so that at least one of each is kept."""
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held[rows[: len(rows) // 2]] = True
    return held


def _semi_supervised(
    free: NDArray[np.float32],
    taught: NDArray[np.float32],
    labels: NDArray[np.int64],
    centres: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Nearest centres of the free rows; the taught ones stay with their class."""
    everything = np.concatenate([taught, free])
    found: NDArray[np.int64] = (free @ centres.T).argmax(1)
    for _ in range(_N_ROUNDS):
        given = np.concatenate([labels, found])
        sums = np.zeros_like(centres)
        np.add.at(sums, given, everything)
        filled = np.bincount(given, minlength=len(centres)) > 0
        centres = np.where(filled[:, None], _unit(sums), centres)
        new = (free @ centres.T).argmax(1)
        if np.array_equal(new, found):
            break
        found = new
    return found


def _matched(truth: NDArray[np.int64], given: NDArray[np.int64], n_clusters: int) -> float:
    """Accuracy after the best one-to-one match of clusters and classes."""
    table = np.zeros((int(truth.max()) + 1, n_clusters))
    np.add.at(table, (truth, given), 1)
    return float(table[linear_sum_assignment(-table)].sum() / len(truth))


def _likeness(
    free: NDArray[np.float32], found: NDArray[np.int64], centres: NDArray[np.float32]
) -> float:
    """Mean cosine of base centres with those of the free regions given to them; 0 for an empty."""
    sums = np.zeros_like(centres)
    base = found < len(centres)
    np.add.at(sums, found[base], free[base])
    return float((_unit(sums) * centres).sum(1).mean())


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit: NDArray[np.float32] = vectors / lengths
    return unit
