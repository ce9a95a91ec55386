"""Blobs of known kinds, a blob that nobody has seen, and points between two kinds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anomalyncd import InputError, ReliabilityConfig
from anomalyncd.discovery.discover import Discovery
from anomalyncd.discovery.normality import fit_normality
from anomalyncd.discovery.novelty import fit_novelty_detector, folds_of
from anomalyncd.discovery.prototypes import spherical_kmeans
from anomalyncd.discovery.reliability import (
    ReliabilityModel,
    fit_reliability,
    fit_temperature,
    held_out_probabilities,
    tempered,
)
from anomalyncd.regions.table import Regions

WIDTH, SPREAD = 32, 0.05
SETTINGS = ReliabilityConfig()


def blob(kind: int, count: int, seed: int, spread: float = SPREAD) -> NDArray[np.float32]:
    """Unit vectors around an axis."""
    rng = np.random.default_rng(1000 * kind + seed)
    points = np.eye(WIDTH)[kind] + rng.normal(0, spread, (count, WIDTH))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def table(count: int, score: float = 1, area: int = 400) -> Regions:
    """One region an image, all of one size."""
    box = np.tile([0.0, 0, 20, 20], (count, 1))
    scores = np.full(count, score, np.float32)
    return Regions(np.arange(count), box, np.full(count, area), scores, np.ones(count, np.bool_))


def known_kinds(count: int, seed: int, n_kinds: int = 3) -> NDArray[np.float32]:
    return np.concatenate([blob(kind, count, seed) for kind in range(n_kinds)])


def discovered(features: NDArray[np.float32], scores: NDArray[np.float32]) -> Discovery:
    """The first kind has low scores, so it is the normal one."""
    normality, normal = fit_normality(features, replace(table(len(scores)), score=scores), 0)
    centres = spherical_kmeans(features, normal, 3, 0).numpy()
    probabilities = normality.posterior(features, features @ centres.T, normal, 0.1)
    model = torch.nn.Identity()
    return Discovery(model, normality, features, probabilities)  # type: ignore[arg-type]


def scored(count: int) -> NDArray[np.float32]:
    return np.repeat(np.array([0.1, 0.9, 0.9], np.float32), count)


def test_a_kind_never_seen_is_found() -> None:
    known, own = fit_novelty_detector(known_kinds(60, 0), *_areas_and_parts(180), seed=0)
    seen = known.scores(known_kinds(40, 1), np.full(120, 400))
    new = known.scores(blob(5, 40, 0), np.full(40, 400))
    assert new.min() > max(seen.max(), own.max())
    assert (known.novelty(new) == 1).all()


def test_a_size_never_seen_is_found() -> None:
    features = known_kinds(60, 0)
    areas, images = _areas_and_parts(180)
    rng = np.random.default_rng(0)
    areas = (areas * rng.uniform(0.8, 1.25, 180)).astype(np.int64)
    known, _ = fit_novelty_detector(features, areas, images, seed=0)
    new = known_kinds(10, 2)
    usual = known.novelty(known.scores(new, np.full(30, 400)))
    large = known.novelty(known.scores(new, np.full(30, 400 * 50)))
    assert (large > 0.95).all()
    assert (usual > 0.95).mean() < 0.3


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_share_holds_for_new_parts_of_known_kinds(share: float) -> None:
    rejected = []
    for seed in range(4):
        areas, images = _areas_and_parts(300)
        known, own = fit_novelty_detector(known_kinds(100, 10 * seed), areas, images, seed=0)
        assert (known.novelty(own) > 1 - share).mean() == pytest.approx(share, abs=0.005)
        scores = known.scores(known_kinds(200, 10 * seed + 1), np.full(600, 400))
        rejected.append((known.novelty(scores) > 1 - share).mean())
    assert np.mean(rejected) == pytest.approx(share, abs=0.3 * share)


def test_regions_of_one_part_do_not_vouch_for_each_other() -> None:
    twins = np.repeat(known_kinds(40, 0), 2, axis=0)
    areas = np.full(240, 400)
    together, own = fit_novelty_detector(twins, areas, np.arange(240) // 2, seed=0)
    apart, _ = fit_novelty_detector(twins, areas, np.arange(240), seed=0)
    assert together.measures[0].min() > 0.01
    assert apart.measures[0].max() == pytest.approx(0, abs=1e-6)
    assert own.shape == (240,)


def test_what_exceeds_all_is_still_ordered() -> None:
    known, _ = fit_novelty_detector(known_kinds(60, 0), *_areas_and_parts(180), seed=0)
    far = blob(5, 1, 0, 0)
    nearer = (far + 0.3 * blob(0, 1, 0, 0)) / np.linalg.norm(far + 0.3 * blob(0, 1, 0, 0))
    scores = known.scores(np.concatenate([nearer, far]), np.array([400, 400]))
    assert known.novelty(scores).tolist() == [1, 1]
    assert scores[1] > scores[0]


def test_unseen_and_unsure_are_assessed_apart() -> None:
    found = discovered(known_kinds(60, 0), scored(60))
    regions = replace(table(180), score=scored(60))
    model, reliability = fit_reliability(found, regions, SETTINGS, 0)
    assert reliability.unseen.mean() == pytest.approx(0.05, abs=0.01)
    between = blob(1, 1, 0, 0) + blob(2, 1, 0, 0)
    features = np.concatenate([blob(1, 1, 7), between / np.linalg.norm(between), blob(6, 1, 0)])
    probabilities = np.array([[0, 1, 0], [0, 0.5, 0.5], [0.2, 0.5, 0.3]], np.float32)
    assessed = model.apply(features, table(3), probabilities, SETTINGS)
    assert assessed.unseen[2]
    assert not assessed.unseen[0]
    assert assessed.calibrated[0].max() > 0.9
    assert assessed.calibrated[1].max() == pytest.approx(0.5)
    off = model.apply(features, table(3), probabilities, replace(SETTINGS, share=0.0))
    assert not off.unseen.any()
    assert np.array_equal(off.novelty, assessed.novelty)


def test_a_part_without_an_anomaly_is_no_unseen_kind() -> None:
    found = discovered(known_kinds(60, 0), scored(60))
    model, _ = fit_reliability(found, table(180), SETTINGS, 0)
    empty = replace(table(1, 0, 0), found=np.array([False]))
    assessed = model.apply(blob(6, 1, 0), empty, np.array([[1, 0, 0]], np.float32), SETTINGS)
    assert assessed.novelty.tolist() == [0]
    assert not assessed.unseen.any()


def test_without_known_regions_nothing_is_unseen() -> None:
    assessed = ReliabilityModel(None, 1.0).apply(
        blob(0, 2, 0), table(2), np.full((2, 2), 0.5, np.float32), SETTINGS
    )
    assert not assessed.unseen.any()


def test_temperature_makes_confidence_meet_accuracy() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 4000).astype(np.float32)
    classes = np.array([rng.choice(3, p=row / row.sum()) for row in probabilities.astype(float)])
    assert fit_temperature(probabilities, classes) == pytest.approx(1, abs=0.1)
    sharp = tempered(probabilities, 0.25)
    assert sharp.max(1).mean() > probabilities.max(1).mean() + 0.1
    again = tempered(sharp, fit_temperature(sharp, classes))
    right = again.argmax(1) == classes
    assert again.max(1).mean() == pytest.approx(right.mean(), abs=0.02)


@pytest.mark.parametrize("neighbours", [True, False])
def test_clear_kinds_are_found_again_without_a_part(neighbours: bool) -> None:
    assigned = np.repeat(np.array([0, 2, 1]), 30)
    found = discovered(known_kinds(30, 0), scored(30))
    found = replace(found, probabilities=np.eye(3, dtype=np.float32)[assigned])
    if not neighbours:
        found = replace(found, normality=None)
    held_out = held_out_probabilities(found, replace(table(90), score=scored(30)), 0)
    assert held_out.sum(1) == pytest.approx(1)
    assert np.array_equal(held_out.argmax(1), assigned)


def test_kinds_are_found_again_where_nothing_is_normal() -> None:
    features = np.concatenate([blob(kind, 30, 0, spread=0.2) for kind in range(3)])
    assigned = np.repeat(np.array([3, 2, 1]), 30)
    found = discovered(features, np.ones(90, np.float32))
    assert found.normality is not None
    found = replace(found, probabilities=np.eye(4, dtype=np.float32)[assigned])
    held_out = held_out_probabilities(found, table(90), 0)
    assert np.array_equal(held_out.argmax(1), assigned)


def test_parts_stay_in_one_fold() -> None:
    images = np.array([3, 3, 7, 9, 9, 9, 20, 21])
    fold = folds_of(images, 0)
    assert all(len(set(fold[images == part])) == 1 for part in images)
    assert set(fold) == set(range(5))
    assert set(folds_of(np.array([0, 0, 1]), 0)) == {0, 1}


@pytest.mark.parametrize(
    ("values", "name"),
    [({"share": 1.0}, "share"), ({"share": -0.1}, "share"), ({"least_confidence": 2}, "least")],
)
def test_settings_out_of_range(values: dict[str, float], name: str) -> None:
    with pytest.raises(InputError, match=name):
        ReliabilityConfig(**values)


def _areas_and_parts(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.full(count, 400), np.arange(count)


def test_what_merely_stands_in_is_neither_known_nor_unseen() -> None:
    found, regions = discovered(known_kinds(60, 0), scored(60)), table(180)
    part = np.arange(180) < 20
    weak = replace(regions, found=~part)
    model, reliability = fit_reliability(found, weak, SETTINGS, 0)
    assert model.novelty_detector is not None
    assert len(model.novelty_detector.features) == 160
    assert not reliability.novelty[part].any()
    assert not reliability.unseen[part].any()
