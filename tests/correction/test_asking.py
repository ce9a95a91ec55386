"""Which regions a person is asked about first, and which members of a class are untypical."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomalyncd.correction.asking import N_CANDIDATES, order_to_ask
from support.quick import scored_regions

N_EACH = 10


def _groups(n_groups: int, n_each: int, noise: float = 0.05) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(n_groups, 16), n_each, axis=0)
    vectors = vectors + rng.normal(0, noise, vectors.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _certain(count: int) -> NDArray[np.float32]:
    return np.tile(np.array([0.98, 0.02], np.float32), (count, 1))


def test_the_first_regions_are_of_different_groups() -> None:
    features = _groups(4, N_EACH)
    regions = scored_regions(np.full(40, 0.5))
    rows = order_to_ask(features, regions, _certain(40), np.full(40, -1), 0)
    assert sorted(rows) == list(range(40))
    assert set(rows[:4] // N_EACH) == {0, 1, 2, 3}


def test_uncertain_groups_come_before_certain_ones_and_large_ones_before_small_ones() -> None:
    features = np.concatenate([_groups(3, N_EACH), _groups(3, N_EACH)[:5]])
    probabilities = _certain(35)
    probabilities[N_EACH : 2 * N_EACH] = 0.5
    regions = scored_regions(np.full(35, 0.5))
    rows = order_to_ask(features, regions, probabilities, np.full(35, -1), 0)
    assert rows[0] // N_EACH == 1
    probabilities = _certain(35)
    rows = order_to_ask(features, regions, probabilities, np.full(35, -1), 0)
    assert rows[0] < N_EACH or rows[0] >= 3 * N_EACH


def test_regions_that_were_named_answer_for_their_neighbours() -> None:
    features = _groups(2, N_EACH)
    said = np.full(20, -1)
    said[3] = 1
    rows = order_to_ask(features, scored_regions(np.full(20, 0.5)), _certain(20), said, 0)
    assert 3 not in rows
    assert len(rows) == 19
    assert rows[0] >= N_EACH


def test_the_larger_region_of_an_image_is_asked_about_first() -> None:
    features = _groups(2, 1, 0.0)
    regions = replace(
        scored_regions(np.full(2, 0.5)), image=np.zeros(2, int), area=np.array([10, 4000])
    )
    assert order_to_ask(features, regions, _certain(2), np.full(2, -1), 0)[0] == 1


def test_the_order_is_the_same_for_a_seed() -> None:
    count = 2 * N_CANDIDATES
    features = _groups(3, count // 3, 0.4)
    regions, said = scored_regions(np.full(count, 0.5)), np.full(count, -1)
    orders = [order_to_ask(features, regions, _certain(count), said, seed) for seed in (0, 0, 1)]
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert np.array_equal(np.sort(orders[0]), np.arange(count))


def test_nothing_is_left_to_ask_once_everything_was_said() -> None:
    features = _groups(2, 2)
    rows = order_to_ask(features, scored_regions(np.ones(4)), _certain(4), np.zeros(4, int), 0)
    assert len(rows) == 0
