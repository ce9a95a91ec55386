"""Where the prototypes begin."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor


def spherical_kmeans(
    features: NDArray[np.float32], scores: NDArray[np.float32], n_classes: int, seed: int
) -> Tensor:
    """Unit centres of k-means on unit vectors, the least anomalous first.

    The first novel prototype is the one that pseudo-label correction turns into "normal", so the
    centre whose regions have the lowest mean score takes that place.

    Args:
        features: Region descriptors, (R, D), unit length.
        scores: Anomaly score of each region, (R,), 0..1.
        n_classes: Number of centres; with fewer regions, the rest repeat those there are.
        seed: Of the start.

    Returns:
        Centres, (n_classes, D), float32.
    """
    n_centres = min(n_classes, len(np.unique(features, axis=0)))
    model = KMeans(n_centres, n_init=10, random_state=seed).fit(features)
    mean_scores = [scores[model.labels_ == label].mean() for label in range(n_centres)]
    order = np.resize(np.argsort(mean_scores), n_classes)
    centres = torch.from_numpy(model.cluster_centers_[order]).float()
    return torch.nn.functional.normalize(centres, dim=1)
