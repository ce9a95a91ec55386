"""What follows for other regions from those that a person named."""

import time
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd.correction.correction import Correction, fit_correction
from anomalyncd.io.component import State
from anomalyncd.regions.table import Regions
from support.quick import scored_regions

IDENTITY = np.arange(3)
N_EACH = 12
Example = tuple[NDArray[np.float32], Regions, NDArray[np.float32]]


def _unit(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def _groups(n_groups: int, n_each: int, width: int = 32, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors around orthogonal centres, group by group."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(n_groups, width), n_each, axis=0)
    return _unit(centres + rng.normal(0, 0.08, centres.shape))


def _found(truth: NDArray[np.int64], n_classes: int, certainty: float = 0.9) -> NDArray[np.float32]:
    """Probabilities of a discovery that gives each region a class."""
    other = (1 - certainty) / (n_classes - 1)
    probabilities = np.full((len(truth), n_classes), other, np.float32)
    probabilities[np.arange(len(truth)), truth] = certainty
    return probabilities


@pytest.fixture
def example() -> Example:
    """Four groups of regions of which the discovery takes the last two for one class."""
    features = _groups(4, N_EACH)
    found = np.repeat([0, 1, 2, 2], N_EACH)
    scores = np.where(found == 0, 0.1, 0.8)
    return features, scored_regions(scores), _found(found, 3)


def _nothing(count: int) -> NDArray[np.int64]:
    return np.full(count, -1)


def test_without_corrections_probabilities_are_those_of_the_discovery(example: Example) -> None:
    features, regions, found = example
    correction, result = fit_correction(
        features, regions, found, _nothing(len(found)), 3, IDENTITY, 0
    )
    assert np.array_equal(result, found)
    assert np.array_equal(correction.apply(features[:5], regions.score[:5], found[:5]), found[:5])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_was_said_holds_even_against_everything_else(example: Example, seed: int) -> None:
    features, regions, found = example
    rng = np.random.default_rng(seed)
    said = _nothing(len(found))
    rows = rng.choice(len(found), 20, replace=False)
    said[rows] = rng.integers(0, 5, 20)
    _, result = fit_correction(features, regions, found, said, 5, IDENTITY, seed)
    assert np.array_equal(result[rows], np.eye(5)[said[rows]])
    assert np.allclose(result.sum(1), 1, atol=1e-5)
    assert (result >= 0).all()


def test_merged_classes_add_up(example: Example) -> None:
    features, regions, found = example
    merged, said = np.array([0, 1, 1]), _nothing(len(found))
    _, result = fit_correction(features, regions, found, said, 3, merged, 0)
    assert np.allclose(result[:, 1], found[:, 1] + found[:, 2])
    assert not result[:, 2].any()
    said[0] = 0
    _, result = fit_correction(features, regions, found, said, 3, merged, 0)
    assert not result[:, 2].any()
    assert (result[N_EACH:].argmax(1) == 1).all()


def test_regions_of_a_dissolved_class_go_to_the_others(example: Example) -> None:
    features, regions, found = example
    certain = _found(found.argmax(1), 3, 1.0)
    near = _unit(features + 0.5 * np.roll(features, 2 * N_EACH, axis=0))
    dissolved = np.array([0, 1, -1])
    for probabilities in (found, certain):
        _, result = fit_correction(
            near, regions, probabilities, _nothing(len(found)), 3, dissolved, 0
        )
        assert not result[:, 2].any()
        assert np.allclose(result.sum(1), 1, atol=1e-5)
    # The centres decide where the discovery says nothing: each of the last two groups is near one.
    assert (result[2 * N_EACH : 3 * N_EACH].argmax(1) == 0).all()
    assert (result[3 * N_EACH :].argmax(1) == 1).all()


def test_with_every_class_dissolved_all_regions_are_normal(example: Example) -> None:
    features, regions, found = example
    _, result = fit_correction(
        features, regions, found, _nothing(len(found)), 3, np.array([-1, -1, -1]), 0
    )
    assert (result[:, 0] == 1).all()


def test_three_examples_of_a_new_class_attract_their_like(example: Example) -> None:
    features, regions, found = example
    said = _nothing(len(found))
    said[-3:] = 3
    correction, result = fit_correction(features, regions, found, said, 4, IDENTITY, 0)
    truth = np.repeat([0, 1, 2, 3], N_EACH)
    assert (result.argmax(1) == truth).all()
    new = _groups(4, 5, seed=1)
    applied = correction.apply(new, np.full(20, 0.8, np.float32), _found(np.full(20, 2), 3))
    assert (applied[-5:].argmax(1) == 3).all()
    assert (applied[10:15].argmax(1) == 2).all()


def test_a_class_that_nothing_belongs_to_has_no_probability(example: Example) -> None:
    features, regions, found = example
    said = _nothing(len(found))
    said[[0, 30]] = [1, 4]
    _, result = fit_correction(features, regions, found, said, 5, IDENTITY, 0)
    assert not result[:, 3].any()
    assert result[:, 4].any()


def test_a_correction_is_applied_to_its_own_regions_as_it_was_fitted(example: Example) -> None:
    features, regions, found = example
    said = _nothing(len(found))
    said[[1, 14, 30, 45]] = [0, 1, 2, 3]
    correction, result = fit_correction(features, regions, found, said, 4, IDENTITY, 0)
    assert np.array_equal(correction.apply(features, regions.score, found), result)
    # Others that differ by little from these are judged nearly alike.
    shifted = _unit(features + np.random.default_rng(0).normal(0, 0.01, features.shape))
    unsaid = said < 0
    applied = correction.apply(shifted, regions.score, found)
    assert np.abs(applied - result)[unsaid].max() < 0.12
    assert (applied.argmax(1) == result.argmax(1))[unsaid].mean() > 0.95


def test_a_correction_is_saved_and_restored(example: Example) -> None:
    features, regions, found = example
    said = _nothing(len(found))
    said[[1, 30]] = [0, 3]
    correction, _ = fit_correction(features, regions, found, said, 4, IDENTITY, 0)
    state = correction.state()
    restored = Correction.from_state(State(state.values, state.tensors))
    assert {one.name for one in fields(restored)} == {*state.values, *state.tensors}
    new = _groups(4, 3, seed=2)
    given = new, np.full(12, 0.5, np.float32), _found(np.full(12, 1), 3)
    assert np.array_equal(restored.apply(*given), correction.apply(*given))


def test_answers_that_do_not_fit_are_refused(example: Example) -> None:
    features, regions, found = example
    said = _nothing(len(found))
    with pytest.raises(ValueError, match="answers"):
        fit_correction(features, regions, found, said[1:], 3, IDENTITY, 0)
    with pytest.raises(ValueError, match="classes_of"):
        fit_correction(features, regions, found, said, 3, IDENTITY[1:], 0)
    said[0] = 3
    with pytest.raises(ValueError, match="class 3 is not among 3"):
        fit_correction(features, regions, found, said, 3, IDENTITY, 0)


def test_one_region_alone_and_no_region_can_be_corrected() -> None:
    features = _groups(1, 1)
    regions, found = scored_regions(np.array([0.5])), _found(np.array([1]), 3)
    _, result = fit_correction(features, regions, found, np.array([2]), 3, IDENTITY, 0)
    assert np.array_equal(result, [[0, 0, 1]])
    correction, _ = fit_correction(features, regions, found, np.array([-1]), 3, IDENTITY, 0)
    assert correction.apply(features[:0], regions.score[:0], found[:0]).shape == (0, 3)


def test_five_thousand_regions_need_neither_long_nor_a_square_matrix() -> None:
    count = 5000
    features = _groups(8, count // 8, 256)
    truth = np.repeat(np.arange(8), count // 8)
    regions, found = scored_regions(np.full(count, 0.5)), _found(truth % 4, 4)
    said = _nothing(count)
    said[:: count // 100] = truth[:: count // 100]
    tracemalloc.start()
    start = time.perf_counter()
    _, result = fit_correction(features, regions, found, said, 8, np.arange(4), 0)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 20
    assert peak < count**2 * 4 / 2
    assert (result.argmax(1) == truth).mean() > 0.95
