"""What shapes the classes that prototypes begin with."""

import numpy as np
from numpy.typing import NDArray

from anomalyncd.discovery.discover import _seeds
from anomalyncd.discovery.normality import published_weights, surely_normal
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


def test_lowest_mean_score_takes_the_normal_place_in_the_published_rule() -> None:
    features = np.concatenate([around(0, 10), around(1, 10), around(2, 10)])
    scores = np.repeat([0.9, 0.55, 0.95], 10).astype(np.float32)
    scores[:2] = 0  # Weights of eq. 6 alone would take this kind for the normal one.
    surely = surely_normal(None, published_weights(scores), scores)
    assert surely is not None
    assert spherical_kmeans(features, surely, 3, seed=0)[0].argmax() == 1


def test_no_defect_gets_the_normal_centre_where_kinds_are_few() -> None:
    features = np.concatenate([around(0, 10), around(1, 1), around(2, 1)])
    normal = np.repeat([0.9, 0.1], [10, 2]).astype(np.float32)
    centres = spherical_kmeans(features, normal, 6, seed=0)
    assert centres[0].argmax() == 0
    assert centres[1:].argmax(1).tolist() == centres[[1, 2, 1, 2, 1]].argmax(1).tolist()
    assert sorted(centres[1:3].argmax(1).tolist()) == [1, 2]
    assert spherical_kmeans(features[:1], normal[:1], 3, seed=0).shape == (3, 4)


def test_every_seed_gives_k_means_a_seed_it_takes() -> None:
    assert max(_seeds(2**32 - 1, 4)) < 2**32
    assert _seeds(3, 2) == [3000, 3001]


def test_without_normal_regions_every_kind_is_a_class_of_defects() -> None:
    features = np.concatenate([around(0, 10), around(1, 10), around(2, 10)])
    centres = centres_of_defects(features, 4, seed=0)
    assert centres[0].eq(0).all()
    assert sorted(centres[1:].argmax(1).tolist()) == [0, 1, 2]
    assert centres_of_defects(features[:1], 4, seed=0).shape == (4, 4)
