"""The split between normal and anomalous, and what look-alikes say to it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd import AnomalyNCD
from anomalyncd.discovery.normality import (
    fit_normality,
    minimum_cross_entropy,
    normal_weights,
    published_weights,
    steady_threshold,
)
from support.quick import QUICK, picture, scored_regions

HIGH, LOW = slice(0, 20), slice(20, 40)


def _looks(seed: int = 0) -> NDArray[np.float32]:
    """Twenty unit vectors that look alike, and twenty that look alike in another way."""
    rng = np.random.default_rng(seed)
    looks = np.repeat(np.eye(2, 8), 20, axis=0) + rng.normal(0, 0.02, (40, 8))
    return (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32)


def _scores() -> NDArray[np.float32]:
    """High where regions look like the first, but for one that the detector missed."""
    scores = np.repeat(np.array([0.8, 0.1], np.float32), 20)
    scores[3] = 0.1
    return scores


def test_resampling_steadies_a_threshold_among_three_groups() -> None:
    """With three groups a few values decide between two gaps; resamples outvote them."""

    def thresholds(find: Callable[[NDArray[np.float32]], float]) -> NDArray[np.float64]:
        found = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            groups = (rng.normal(0.06, 0.01, 110), rng.normal(0.27, 0.07, 500))
            tail = rng.normal(0.65, 0.08, 80)
            values = np.concatenate([*groups, tail]).clip(0.01).astype(np.float32)
            found.append(find(values))
        return np.array(found)

    plain = thresholds(minimum_cross_entropy)
    steady = thresholds(lambda values: steady_threshold(values, 0))
    assert np.ptp(steady) < np.ptp(plain)
    values = np.full(10, 0.5, np.float32)
    assert steady_threshold(values, 0) == pytest.approx(0.5)


def test_threshold_parts_two_groups() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.normal(0.1, 0.01, 30), rng.normal(0.8, 0.05, 10)
    values = np.concatenate([low, high]).astype(np.float32)
    threshold = minimum_cross_entropy(values)
    assert low.max() < threshold < high.min()
    dark, bright = low.mean(), high.mean()
    assert threshold == pytest.approx((bright - dark) / np.log(bright / dark), rel=1e-4)
    assert minimum_cross_entropy(3 * values) == pytest.approx(3 * threshold, rel=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_threshold_of_equal_values_is_the_value(level: float) -> None:
    values = np.full(7, level, np.float32)
    threshold = minimum_cross_entropy(values)
    assert threshold == pytest.approx(level, abs=1e-6)
    assert normal_weights(values, threshold) == pytest.approx(0.5, abs=1e-4)


def test_threshold_parts_zeros_from_the_rest() -> None:
    values = np.array([0.0] * 6 + [0.6] * 6, np.float32)
    threshold = minimum_cross_entropy(values)
    assert 0 < threshold < 0.6
    assert normal_weights(values, threshold) == pytest.approx([1] * 6 + [0] * 6, abs=1e-6)


def test_normal_weights_fall_with_the_score() -> None:
    weights = normal_weights(np.linspace(0, 1, 50, dtype=np.float32), 0.3)
    assert weights.dtype == np.float32
    assert weights[0] == pytest.approx(1)
    assert weights[-1] == pytest.approx(0, abs=1e-4)
    assert (np.diff(weights) <= 0).all()
    assert normal_weights(np.array([0.3], np.float32), 0.3) == pytest.approx(0.5)


def test_published_weights() -> None:
    scores = np.array([0.0, 0.2, 0.5, 0.9], np.float32)
    assert published_weights(scores) == pytest.approx([0.5, 0.3, 0, 0])
    assert published_weights(scores).dtype == np.float32


def test_look_alikes_rescue_a_region_with_a_low_score() -> None:
    scores = _scores()
    normality, normal = fit_normality(_looks(), scored_regions(scores), seed=0)
    alone = normal_weights(scores, minimum_cross_entropy(scores))
    assert alone[3] > 0.9
    assert (normal[HIGH] < 0.2).all()
    assert (normal[LOW] > 0.9).all()
    assert 0.1 < normality.threshold < 0.8


def test_half_of_the_evidence_is_the_own_score() -> None:
    """A defect between normal look-alikes, which share its place rather than its state, stays."""
    scores = _scores()
    scores[25] = 0.9
    _, normal = fit_normality(_looks(), scored_regions(scores), seed=0)
    assert normal[25] < 0.2


def test_new_regions_are_judged_with_their_look_alikes() -> None:
    normality, _ = fit_normality(_looks(), scored_regions(_scores()), seed=0)
    normal = normality.weights(_looks(1), _scores())
    assert (normal[HIGH] < 0.2).all()
    assert (normal[LOW] > 0.9).all()


def test_weights_of_new_regions_fall_with_their_own_score() -> None:
    normality, _ = fit_normality(_looks(), scored_regions(_scores()), seed=0)
    one = np.ones((30, 8), np.float32) / np.float32(np.sqrt(8))
    weights = normality.weights(one, np.linspace(0, 1, 30, dtype=np.float32))
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert (np.diff(weights) <= 1e-7).all()
    assert weights[0] > weights[-1]


def test_posterior_weighs_looks_by_how_surely_a_region_is_normal() -> None:
    looks = _looks()
    normality, _ = fit_normality(looks, scored_regions(_scores()), seed=0)
    assert np.linalg.norm(normality.centres, axis=1) == pytest.approx(1)
    assert (looks[LOW] @ normality.centres.T).max(1).min() > 0.9
    cosines = np.tile(np.array([0.0, 0.3, 0.1], np.float32), (40, 1))
    given = cosines.copy()
    for sure, expected in ((0.0, 0.0), (1.0, 1.0)):
        normal = np.full(40, sure, np.float32)
        posterior = normality.posterior(looks, cosines, normal, 0.1)
        assert posterior.sum(1) == pytest.approx(1)
        assert posterior[:, 0] == pytest.approx(expected)
    halfway = normality.posterior(looks, cosines, np.full(40, 0.5, np.float32), 0.1)
    assert (halfway[LOW, 0] > 0.9).all()
    assert (halfway[HIGH].argmax(1) == 1).all()
    assert np.array_equal(cosines, given)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_regions_than_neighbours(count: int) -> None:
    scores = np.linspace(0.2, 0.9, count, dtype=np.float32)
    normality, normal = fit_normality(_looks()[:count], scored_regions(scores), seed=0)
    assert normal.shape == normality.scores.shape == (count,)
    assert np.isfinite(normal).all()
    assert normality.weights(_looks()[:3], np.zeros(3, np.float32)).shape == (3,)


def test_saved_normality_judges_the_same(tiny: Path, images_folder: Path, tmp_path: Path) -> None:
    training = replace(QUICK.training, correction="neighbours")
    preset = replace(QUICK, training=training)
    model = AnomalyNCD(3, backbone="tiny", weights=tiny, preset=preset).fit(images_folder)
    before = model.model_.normality
    assert before is not None
    # Random weights tell nothing apart; a threshold amid the scores makes a difference visible.
    moved = replace(before, threshold=float(np.median(before.scores)))
    model.model_ = replace(model.model_, normality=moved)
    model.save(tmp_path / "model")
    after = AnomalyNCD.load(tmp_path / "model")
    assert after.model_.normality is not None
    assert np.array_equal(after.model_.normality.features, before.features)
    assert np.array_equal(after.model_.normality.scores, before.scores)
    assert np.array_equal(after.model_.normality.centres, before.centres)
    assert after.model_.normality.threshold == model.model_.normality.threshold
    new = [picture(kind, 40 + i) for i, kind in enumerate(("good", "line", "spot"))]
    assert np.array_equal(after.classify(new).probabilities, model.classify(new).probabilities)


@pytest.mark.parametrize("correction", ["published", "none"])
def test_normality_is_learnt_from_look_alikes_alone(
    tiny: Path, images_folder: Path, tmp_path: Path, correction: str
) -> None:
    preset = replace(QUICK, training=replace(QUICK.training, correction=correction))
    model = AnomalyNCD(3, backbone="tiny", weights=tiny, preset=preset).fit(images_folder)
    assert model.model_.normality is None
    model.save(tmp_path / "model")
    assert AnomalyNCD.load(tmp_path / "model").model_.normality is None


def test_where_nearly_all_are_defects_the_split_is_not_among_them() -> None:
    rng = np.random.default_rng(0)
    looks = rng.standard_normal((60, 16)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    looks[:, 0] += np.repeat([3.0, -3.0, 0.0], [6, 27, 27]).astype(np.float32)
    looks[:, 1] += np.repeat([0.0, 3.0, -3.0], [6, 27, 27]).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    scores = np.repeat([0.05, 0.4, 0.9], [6, 27, 27]).astype(np.float32)
    _, free = fit_normality(looks, scored_regions(scores), seed=0)
    _, bounded = fit_normality(looks, scored_regions(scores, 0.2), seed=0)
    assert (free > 0.5).sum() == 33
    assert (bounded > 0.5).sum() == 6
