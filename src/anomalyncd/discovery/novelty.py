"""How far a region differs from all known regions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyncd.discovery.sampling import MANY, blocks, largest, sample_of_images
from anomalyncd.io.component import Component
from anomalyncd.regions.table import Regions

N_FOLDS = 5
N_NEIGHBOURS = 5
N_DIRECTIONS = 30
_LEAST_SCALE = 0.01
_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class NoveltyDetector(Component):
    """The anomalous regions that the classes were found with.

    Three measures state how far another region differs from them (our own): the distance to its
    nearest neighbour, the part of its descriptor that their principal directions do not explain,
    and the difference between its size and that of its nearest neighbours. Each counts by its rank
    among the known regions, which are measured without the other regions of their image.
    """

    features: NDArray[np.float32]
    """(R, D): unit descriptors, of many regions a sample."""
    sizes: NDArray[np.float32]
    """(R,): logarithm of the square root of the mask area in px."""
    mean: NDArray[np.float32]
    """(D,): mean descriptor."""
    directions: NDArray[np.float32]
    """(P, D): main directions around it, orthonormal."""
    measures: NDArray[np.float32]
    """(3, R): the measures of the known regions themselves, each sorted."""
    totals: NDArray[np.float32]
    """(R,): their outlier scores, sorted."""

    def scores(
        self, features: NDArray[np.float32], areas: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Outlier scores of new regions, (B,): the mean rank of the measures.

        What a measure exceeds all known regions by is added, so that regions beyond them have an
        order, too.

        Args:
            features: Unit descriptors, (B, D).
            areas: Mask pixels, (B,).
        """
        sizes, many = _log_sides(areas), len(features) > MANY
        scores = []
        for block in blocks(len(features)):
            some = features[block]
            near, size = _to_known(some, sizes[block], self.features, self.sizes, many=many)
            rest = _unexplained(some, self.mean, self.directions)
            scores.append(_combined(np.stack([near, rest, size]), self.measures))
        return np.concatenate(scores)

    def novelty(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Share of the known regions that are less of an outlier than each score, (B,), 0..1."""
        return _ranks(scores, self.totals)


def fit_novelty(
    features: NDArray[np.float32], regions: Regions, rows: NDArray[np.int64], seed: int
) -> tuple[NoveltyDetector, NDArray[np.float32]]:
    """Learns to know regions; of more than `MANY` those of a sample of their images.

    Args:
        features: Unit descriptors of all regions, (R, D).
        regions: All regions.
        rows: Those that are known, of at least two images, (N,).
        seed: Of the sample and of the folds.

    Returns:
        The known regions, and the novelty of each of `rows`, (N,), measured without its own image.
    """
    few = sample_of_images(regions.image[rows], seed)
    known = rows[few]
    detector, scores = fit_novelty_detector(
        features[known], regions.area[known], regions.image[known], seed
    )
    novelty = np.zeros(len(rows), np.float32)
    novelty[few] = detector.novelty(scores)
    others = np.setdiff1d(np.arange(len(rows)), few)
    if len(others):
        of_others = detector.scores(features, regions.area)
        novelty[others] = detector.novelty(of_others[rows[others]])
    return detector, novelty


def fit_novelty_detector(
    features: NDArray[np.float32],
    areas: NDArray[np.int64],
    images: NDArray[np.int64],
    seed: int,
) -> tuple[NoveltyDetector, NDArray[np.float32]]:
    """Stores known regions and measures each of them without those of its own image.

    Args:
        features: Unit descriptors, (R, D); regions of at least two images.
        areas: Mask pixels, (R,).
        images: Index of the image of each region, (R,).
        seed: Of the folds.

    Returns:
        The known regions, and their own outlier scores, (R,).
    """
    sizes = _log_sides(areas)
    near, size = _to_known(features, sizes, features, sizes, (images, images))
    rest = np.zeros(len(features), np.float32)
    fold = folds_of(images, seed)
    for index in range(fold.max() + 1):
        left = fold == index
        rest[left] = _unexplained(features[left], *_main_directions(features[~left]))
    measures = np.stack([near, rest, size])
    reference = np.sort(measures, axis=1)
    scores = _combined(measures, reference)
    mean, directions = _main_directions(features)
    return NoveltyDetector(features, sizes, mean, directions, reference, np.sort(scores)), scores


def _log_sides(areas: NDArray[np.int64]) -> NDArray[np.float32]:
    sides: NDArray[np.float32] = (np.log(np.maximum(areas, 1)) / 2).astype(np.float32)
    return sides


def _to_known(
    features: NDArray[np.float32],
    sizes: NDArray[np.float32],
    known: NDArray[np.float32],
    known_sizes: NDArray[np.float32],
    images: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    many: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance to the nearest known region, and deviation from its neighbours in size, (B,) each.

    Args:
        features: Unit descriptors, (B, D).
        sizes: Log sides, (B,).
        known: Unit descriptors, (R, D).
        known_sizes: Log sides, (R,).
        images: Image of each region of both, so that regions of one image are not compared; None
            compares all.
        many: Whether there are many more regions than these, see `largest`.
    """
    count = min(N_NEIGHBOURS, len(known))
    distance = np.empty(len(features), np.float32)
    deviation = np.empty(len(features), np.float32)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = features[rows] @ known.T
        if images is not None:
            cosines[images[0][rows, None] == images[1]] = -1
        nearest = largest(cosines, count, many)
        distance[rows] = 1 - np.take_along_axis(cosines, nearest, axis=1).max(1)
        deviation[rows] = np.abs(sizes[rows] - np.median(known_sizes[nearest], axis=1))
    return distance, deviation


def _main_directions(
    features: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean, (D,), and at most a fifth as many main directions as there are regions, (P, D)."""
    count = min(N_DIRECTIONS, len(features) // 5)
    if count == 0:
        return features.mean(0), np.zeros((0, features.shape[1]), np.float32)
    from sklearn.decomposition import PCA

    fitted = PCA(count, random_state=0).fit(features)
    return fitted.mean_, fitted.components_


def _unexplained(
    features: NDArray[np.float32], mean: NDArray[np.float32], directions: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Squared length of what lies outside the main directions, (B,)."""
    centred = features - mean
    along = centred @ directions.T
    rest: NDArray[np.float32] = (centred**2).sum(1) - (along**2).sum(1)
    return rest


def _combined(measures: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean rank of the measures, (M, B), plus how far each lies beyond the reference, (M, R)."""
    total: NDArray[np.float32] = np.zeros(measures.shape[1], np.float32)
    for values, known in zip(measures, reference, strict=True):
        beyond = np.maximum(values - known[-1], 0) / max(float(known[-1]), _LEAST_SCALE)
        total += _ranks(values, known) + beyond
    mean: NDArray[np.float32] = total / np.float32(len(measures))
    return mean


def _ranks(values: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of sorted known values below each value, (B,); equal ones count half."""
    below = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    ranks: NDArray[np.float32] = (below / (2 * len(known))).astype(np.float32)
    return ranks


def folds_of(images: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Fold of each region, (R,), at random; the regions of one image, (R,), stay together."""
    indices, rows = np.unique(images, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(indices))
    return (order % min(N_FOLDS, len(indices)))[rows]
