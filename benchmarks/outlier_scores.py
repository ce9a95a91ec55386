"""Classes found among some regions of a set, and every candidate for an outlier score."""

from dataclasses import dataclass

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from anomalyncd.discovery.classifier import Descriptor
from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.discovery.normality import Normality, fit_normality
from anomalyncd.discovery.novelty import fit_novelty_detector
from anomalyncd.discovery.prototypes import spherical_kmeans
from reading import Read


@dataclass(frozen=True, eq=False)
class Classes:
    """What the default preset finds without training."""

    descriptor: Descriptor
    normality: Normality
    centres: NDArray[np.float32]

    def describe(self, vectors: NDArray) -> NDArray[np.float32]:
        return self.descriptor(torch.from_numpy(vectors)).numpy()

    def cosines(self, features: NDArray) -> NDArray[np.float32]:
        cosines = features @ self.centres.T
        if len(self.normality.centres):
            cosines[:, 0] = (features @ self.normality.centres.T).max(1)
        return cosines

    def posterior(self, features: NDArray, normal: NDArray) -> NDArray[np.float32]:
        cosines = features @ self.centres.T
        return self.normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)


def find_classes(read: Read, rows: NDArray, n_classes: int, seed: int) -> tuple[Classes, NDArray]:
    """Classes of some regions, and how surely each of these is normal."""
    descriptor = Descriptor(read.widths, centred=True)
    descriptor.fit(torch.from_numpy(read.vectors[rows]))
    features = descriptor(torch.from_numpy(read.vectors[rows])).numpy()
    normality, normal = fit_normality(
        features, read.regions.score[rows], seed, read.max_normal_score
    )
    found = read.regions.found[rows]
    centres = spherical_kmeans(features, normal, n_classes, seed * 1000, found).numpy()
    return Classes(descriptor, normality, centres), normal


def outlier_scores(read: Read, classes: Classes, rows: NDArray, new: NDArray) -> dict[str, NDArray]:
    """Every candidate, (B,) each, for regions `new`, where regions `rows` are known."""
    known_features, features = (classes.describe(read.vectors[one]) for one in (rows, new))
    regions, old = read.regions.select(new), read.regions.select(rows)
    normal = classes.normality.weights(features, regions.score)
    probabilities = np.sort(classes.posterior(features, normal), axis=1)[:, ::-1]
    cosines = classes.cosines(features)
    found = old.found
    known, _ = fit_novelty_detector(known_features[found], old.area[found], old.image[found], 0)
    nearest = 1 - (features @ known_features.T).max(1)
    scores = {
        "max p": -probabilities[:, 0],
        "max cosine": -cosines.max(1),
        "logsumexp": -scipy.special.logsumexp(cosines / STUDENT_TEMPERATURE, axis=1),
        "p1 / p2": -np.log(probabilities[:, 0] / np.maximum(probabilities[:, 1], 1e-30)),
        "p1 - p2": probabilities[:, 1] - probabilities[:, 0],
        "nearest region": nearest,
        "nearest, relative to its class": nearest / _spread(classes, known_features, features),
        "Mahalanobis": _mahalanobis(classes, known_features, features),
    }
    scores["default"] = known.scores(features, regions.area)
    # What has no anomalous region is no kind of defect, seen or unseen.
    scores["default"][~regions.found] = 0
    return scores


def _spread(classes: Classes, known: NDArray, features: NDArray) -> NDArray:
    """Median distance within the class that each region is most like."""
    own, assigned = classes.cosines(known).argmax(1), classes.cosines(features).argmax(1)
    cosines = known @ known.T
    np.fill_diagonal(cosines, -1)
    cosines[own[:, None] != own] = -1
    distance = 1 - cosines.max(1)
    overall = np.median(distance)
    medians = [
        np.median(distance[own == k]) if (own == k).sum() > 1 else overall
        for k in range(len(classes.centres))
    ]
    return np.array(medians)[assigned]


def _mahalanobis(classes: Classes, known: NDArray, features: NDArray) -> NDArray:
    """To the nearest class, shared covariance shrunk towards a multiple of the identity."""
    reduced = PCA(min(30, len(known) // 2), random_state=0).fit(known)
    known, features = reduced.transform(known), reduced.transform(features)
    own = classes.cosines(reduced.inverse_transform(known)).argmax(1)
    means = np.stack([known[own == k].mean(0) for k in np.unique(own)])
    within = known - means[np.searchsorted(np.unique(own), own)]
    precision = LedoitWolf(assume_centered=True).fit(within).precision_
    away = features[:, None] - means
    return np.einsum("bki,ij,bkj->bk", away, precision, away).min(1)
