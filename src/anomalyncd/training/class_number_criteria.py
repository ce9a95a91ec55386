"""Criteria for the number of clusters that need no label."""

import numpy as np
import scipy.linalg
import scipy.spatial
from numpy.typing import NDArray
from sklearn.cluster import KMeans
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
