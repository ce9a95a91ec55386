"""What shapes the classes that prototypes begin with."""

import numpy as np
from numpy.typing import NDArray

from anomalyncd.discovery.prototypes import centres_of_defects, spherical_kmeans


def around(axis: int, count: int) -> NDArray[np.float32]:
    """Unit vectors near one of four axes."""
    noise = np.random.default_rng(axis).normal(0, 0.05, (count, 4))
    vectors = np.eye(4)[axis] + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_normal_regions_shape_no_kind_of_defect() -> None:
    features = np.concatenate([around(0, 10), around(1, 10), around(2, 10), around(3, 12)])
    normal = np.repeat([0.9, 0.1, 0.1, 0.9], [10, 10, 10, 12]).astype(np.float32)
    centres = spherical_kmeans(features, normal, 3, seed=0)
    assert sorted(centres[1:].argmax(1).tolist()) == [1, 2]


def test_without_normal_regions_every_kind_is_a_class_of_defects() -> None:
    features = np.concatenate([around(0, 10), around(1, 10), around(2, 10)])
    centres = centres_of_defects(features, 4, seed=0)
    assert centres[0].eq(0).all()
    assert sorted(centres[1:].argmax(1).tolist()) == [0, 1, 2]
    assert centres_of_defects(features[:1], 4, seed=0).shape == (4, 4)
