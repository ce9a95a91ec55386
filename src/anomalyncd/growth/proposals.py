"""Classes that are proposed, because regions form a group of their own beside all known classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from anomalyncd.errors import InputError
from anomalyncd.growth.newness import newness
from anomalyncd.labels.book import LabelBook
from anomalyncd.regions.table import Regions
from anomalyncd.results.corrections import regions_of
from anomalyncd.results.run_folder import Run

LEAST_REGIONS, LEAST_IMAGES = 4, 3
"""A class is proposed for as many regions at least, on as many images."""
PER_ROOT = 0.25
"""It has at least this many regions for each unit of the root of the number of new regions, since
more small groups arise by chance among more regions."""
LEAST_SURPLUS = 0.01
"""Mean `newness` of the regions of a proposal at least."""
LIKENESS = 0.3
"""Quantile of the cosines within known classes that the regions of a proposal have on average."""
N_TYPICAL = 3
MOST_KNOWN, MOST_NEW, MOST_GROUPED = 10_000, 10_000, 4_000
"""Of more regions, as many are chosen at random to compare with, and to be grouped."""
_MOST_MEASURED = 2_000


@dataclass(frozen=True, eq=False)
class Proposal:
    """A group of regions that may be a class of its own."""

    key: int
    """Id of its most typical region, by which it is accepted."""
    name: str
    """A suggestion, such as "new kind 1"."""
    rows: NDArray[np.int64]
    """Its regions as rows of the table of regions, the most typical one first."""
    typical: NDArray[np.int64]
    """The most typical regions of up to three images."""
    n_images: int
    """Images with regions of the group."""


def proposals(run: Run, labels: LabelBook, seed: int = 0) -> list[Proposal]:
    """Proposes classes for what a run holds beside the classes of its discovery.

    Regions may belong to a new class if they were added since, or resembled nothing in the
    discovery, and if nobody said what they are. Nothing is stored. A proposal is accepted by
    `accept_proposal`.

    Args:
        run: The run.
        labels: Its label book.
        seed: Chooses regions where there are very many.

    Returns:
        The largest group first.
    """
    regions, said = regions_of(run), labels.said()
    added = np.arange(len(regions)) >= run.n_discovered
    unseen = np.zeros(len(regions), np.bool_)
    if "unseen" in run.regions:
        unseen = run.regions["unseen"].to_numpy(np.bool_)
    candidates = (added | unseen) & (said < 0)
    # As a person sees them: what was accepted is alike within its own class only.
    classes = labels.classes_of_discovery()[run.probabilities.argmax(1)]
    classes = np.where(said >= 0, said, classes)
    groups = propose_classes(run.features, regions, classes, candidates, seed)
    taken = {one.name.casefold() for one in labels.state.in_use}
    keys = [int(labels.ids[rows[0]]) for rows in groups]
    return _named(groups, keys, regions, taken)


def accept_proposal(
    run: Run, labels: LabelBook, region: int, name: str | None = None
) -> tuple[int, int]:
    """Makes a class of a proposal.

    Accepting one changes which other regions are proposed and in which order, so a proposal is
    known by a region in it.

    Args:
        run: The run.
        labels: Its label book.
        region: Id of a region of the proposal, such as its `key`.
        name: Name of the class; None takes the suggestion.

    Returns:
        Id of the class, and the number of its regions.

    Raises:
        InputError: The region is in no proposal, or the name cannot be used.
    """
    proposed = proposals(run, labels)
    rows = labels.rows([region])
    chosen = next((one for one in proposed if np.isin(rows, one.rows).any()), None)
    if chosen is None:
        keys = ", ".join(str(one.key) for one in proposed)
        there = f"choose one of {keys}" if proposed else "no class is proposed for it any more"
        raise InputError(f"there is no proposal {region} for run '{run.folder}'; {there}")
    class_id = labels.new_class(name or chosen.name, labels.ids[chosen.rows].tolist())
    return class_id, len(chosen.rows)


def propose_classes(
    features: NDArray[np.float32],
    regions: Regions,
    classes: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    seed: int,
) -> list[NDArray[np.int64]]:
    """Groups the regions that have more of their like among candidates than among known regions.

    Groups are as alike as known classes are within themselves: they are joined by average linkage
    up to a quantile of the cosines between regions of one class.

    Args:
        features: Unit descriptors, (R, D).
        regions: The regions; those that were not found are left out.
        classes: Class of each known region, (R,).
        candidates: Which regions may be of a new class, (R,); the others are known.
        seed: Chooses regions where there are very many.

    Returns:
        Rows of each group, the most typical one first; the largest group first.
    """
    rng = np.random.default_rng(seed)
    known = _some(np.flatnonzero(regions.found & ~candidates), MOST_KNOWN, rng)
    new = _some(np.flatnonzero(regions.found & candidates), MOST_NEW, rng)
    if not len(known) or len(new) < LEAST_REGIONS:
        return []
    image = regions.image
    surplus = newness(features[new], image[new], features[known], image[known])
    positive = np.flatnonzero(surplus > 0)
    if len(positive) > MOST_GROUPED:
        positive = np.sort(np.argsort(-surplus, kind="stable")[:MOST_GROUPED])
    chosen, surplus = new[positive], surplus[positive]
    if len(chosen) < LEAST_REGIONS:
        return []
    likeness = _likeness(features[known], classes[known], image[known], rng)
    distances = pdist(features[chosen], "sqeuclidean") / 2  # One minus the cosine.
    label = fcluster(linkage(distances, "average"), 1 - likeness, "distance")
    groups = [
        chosen[label == one]
        for one in np.unique(label)
        if surplus[label == one].mean() >= LEAST_SURPLUS
    ]
    least = max(LEAST_REGIONS, PER_ROOT * len(new) ** 0.5)
    large = [one for one in groups if len(one) >= least and _n_images(one, image) >= LEAST_IMAGES]
    return [_by_typicality(rows, features) for rows in sorted(large, key=len, reverse=True)]


def _n_images(rows: NDArray[np.int64], image: NDArray[np.int64]) -> int:
    return len(np.unique(image[rows]))


def _likeness(
    features: NDArray[np.float32],
    classes: NDArray[np.int64],
    images: NDArray[np.int64],
    rng: np.random.Generator,
) -> float:
    """Quantile of the cosines between known regions of one class on different images."""
    rows = _some(np.arange(len(features)), _MOST_MEASURED, rng)
    cosines = features[rows] @ features[rows].T
    pairs = classes[rows, None] == classes[rows]
    pairs &= images[rows, None] != images[rows]
    return float(np.quantile(cosines[pairs], LIKENESS)) if pairs.any() else 1.0


def _by_typicality(rows: NDArray[np.int64], features: NDArray[np.float32]) -> NDArray[np.int64]:
    """The rows of a group, by their cosine with its mean."""
    cosines = features[rows] @ features[rows].mean(0)
    return rows[np.argsort(-cosines, kind="stable")]


def _some(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All rows, or as many at random, in order."""
    return rows if len(rows) <= count else np.sort(rng.choice(rows, count, replace=False))


def _named(
    groups: list[NDArray[np.int64]], keys: list[int], regions: Regions, taken: set[str]
) -> list[Proposal]:
    """Proposals with names that no class has."""
    named, number = [], 0
    for rows, key in zip(groups, keys, strict=True):
        number += 1
        while f"new kind {number}" in taken:
            number += 1
        image = regions.image[rows]
        first = np.sort(np.unique(image, return_index=True)[1])[:N_TYPICAL]
        n_images = _n_images(rows, regions.image)
        named.append(Proposal(key, f"new kind {number}", rows, rows[first], n_images))
    return named
