"""Groups among regions: similar classes, and parts of a class."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from anomalyncd.errors import InputError
from anomalyncd.labels.checks import require_class
from anomalyncd.labels.state import NORMAL
from anomalyncd.review.snapshot import Snapshot

_MOST_FITTED = 3000
"""Of more regions a random selection is taken."""


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


def _direction(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if not len(rows):
        return np.zeros(features.shape[1], np.float32)
    mean: NDArray[np.float32] = features[rows[_selected(len(rows))]].mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _selected(count: int) -> NDArray[np.int64]:
    if count <= _MOST_FITTED:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, _MOST_FITTED, replace=False))
