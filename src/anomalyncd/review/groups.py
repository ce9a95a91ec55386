"""Groups among regions: similar classes, parts of a class, and kinds that no class covers."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering, KMeans

from anomalyncd.errors import InputError
from anomalyncd.labels.book import require_class
from anomalyncd.labels.state import NORMAL
from anomalyncd.review.snapshot import Snapshot

_MOST_FITTED, _MOST_JOINED = 3000, 1000
"""Of larger sets a random selection is taken: for k-means and means, and for joining groups."""
_MOST_PROPOSALS = 12
_LEAST_REGIONS = 3
"""Fewer regions are no kind."""


def similar_classes(
    snapshot: Snapshot, features: NDArray[np.float32], class_id: int
) -> list[tuple[int, float]]:
    """Orders the other classes of defects by the cosine between their means.

    Args:
        snapshot: What holds now.
        features: (R, D): unit descriptors.
        class_id: The class.

    Returns:
        Id and cosine of each class that has regions, the most similar one first.

    Raises:
        InputError: There is no such class.
    """
    require_class(snapshot.state, class_id)
    own = _direction(features, snapshot.members(class_id))
    found = [
        (one.id, float(own @ _direction(features, snapshot.members(one.id))))
        for one in snapshot.state.in_use
        if one.id not in (class_id, NORMAL) and snapshot.n_regions[one.id]
    ]
    return sorted(found, key=lambda one: -one[1])


def split_class(
    snapshot: Snapshot, features: NDArray[np.float32], class_id: int, n_parts: int
) -> list[NDArray[np.int64]]:
    """Proposes parts of a class by k-means on its descriptors.

    Args:
        snapshot: What holds now.
        features: (R, D): unit descriptors.
        class_id: The class.
        n_parts: Number of parts, at least 2.

    Returns:
        Rows of each part, the largest part first.

    Raises:
        InputError: There is no such class, or it has fewer regions than parts.
    """
    name = require_class(snapshot.state, class_id).name
    rows = snapshot.members(class_id)
    if not 2 <= n_parts <= len(rows):
        raise InputError(
            f"class '{name}' has {len(rows)} regions and cannot be split into {n_parts} parts; "
            "use from 2 parts to as many as it has regions"
        )
    members = features[rows]
    model = KMeans(n_parts, n_init=4, random_state=0).fit(members[_selected(len(rows))])
    parts = model.predict(members)
    found = [rows[parts == part] for part in range(n_parts)]
    return sorted(found, key=len, reverse=True)


def new_kinds(snapshot: Snapshot, features: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Groups the regions that resemble no class.

    Two groups are joined while their mean distance is below that of two regions of one class, in
    the median over the classes of defects.

    Args:
        snapshot: What holds now.
        features: (R, D): unit descriptors.

    Returns:
        Rows of each group of at least three regions, the largest group first.
    """
    rows = snapshot.new
    if len(rows) < _LEAST_REGIONS:
        return []
    rows = rows[_selected(len(rows), _MOST_JOINED)]
    spreads = [
        1 - float(np.square(features[members[_selected(len(members))]].mean(0)).sum())
        for one in snapshot.state.in_use
        if one.id != NORMAL and len(members := snapshot.members(one.id)) >= _LEAST_REGIONS
    ]
    threshold = float(np.median(spreads)) if spreads else 0.5
    model = AgglomerativeClustering(
        None, metric="cosine", linkage="average", distance_threshold=max(threshold, 1e-6)
    )
    groups = model.fit_predict(features[rows])
    found = [rows[groups == group] for group in range(groups.max() + 1)]
    large = [group for group in found if len(group) >= _LEAST_REGIONS]
    return sorted(large, key=len, reverse=True)[:_MOST_PROPOSALS]


def _direction(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if not len(rows):
        return np.zeros(features.shape[1], np.float32)
    mean: NDArray[np.float32] = features[rows[_selected(len(rows))]].mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _selected(count: int, most: int = _MOST_FITTED) -> NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))
