"""Many regions give the classes that they would give if all were compared with each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from anomalyncd import ReliabilityConfig
from anomalyncd.correction.correction import fit_correction
from anomalyncd.discovery import normality, novelty, sampling
from anomalyncd.discovery.discover import Discovery, classify, describe_all, discover_classes
from anomalyncd.discovery.normality import fit_normality
from anomalyncd.discovery.novelty import fit_novelty
from anomalyncd.discovery.prototypes import kmeans
from anomalyncd.discovery.reliability import fit_reliability
from anomalyncd.discovery.sampling import blocks, sample, sample_of_images
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.mean_store import MeanStore
from anomalyncd.regions.table import Regions
from anomalyncd.report.projection import project
from anomalyncd.review.refit import typicality
from support.quick import QUICK, run_context, scored_regions

COUNT, WIDTH, N_SAMPLED = 600, 48, 150
KIND = np.arange(COUNT) % 4
"""The first kind is normal."""


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers the number from which regions are sampled."""
    for module in (sampling, normality, novelty):
        monkeypatch.setattr(module, "MANY", 200)
    monkeypatch.setattr(sampling, "SAMPLE", N_SAMPLED)
    monkeypatch.setattr(sampling, "BLOCK", 64)


def _described(seed: int = 0) -> NDArray[np.float32]:
    points = np.eye(WIDTH)[KIND] + np.random.default_rng(seed).normal(0, 0.05, (COUNT, WIDTH))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def _regions() -> Regions:
    scores = np.where(KIND == 0, 0.1, 0.9) + np.random.default_rng(1).uniform(-0.1, 0.1, COUNT)
    return replace(scored_regions(scores), image=np.arange(COUNT) // 2)


def _discover(encoder: RegionEncoder, folder: Path) -> Discovery:
    config = replace(QUICK, training=replace(QUICK.training, epochs=0, n_heads=2))
    context = run_context(encoder, folder, config)
    return discover_classes(context, _regions(), _tokens(), None, 4)


def _tokens() -> MeanStore:
    return MeanStore(torch.from_numpy(_described() + 1))


def test_few_regions_are_all_in_the_sample() -> None:
    assert np.array_equal(sample(sampling.MANY, 0), np.arange(sampling.MANY))
    assert len(sample(sampling.MANY + 1, 0)) == sampling.SAMPLE
    assert np.array_equal(sample_of_images(np.arange(50) // 3, 0), np.arange(50))
    assert list(blocks(sampling.MANY)) == [slice(0, sampling.MANY)]


@pytest.mark.usefixtures("many")
def test_an_image_is_drawn_with_all_its_regions() -> None:
    image = np.arange(COUNT) // 4
    drawn = np.zeros(COUNT, np.bool_)
    drawn[sample_of_images(image, 0)] = True
    assert N_SAMPLED - 4 <= drawn.sum() <= N_SAMPLED
    assert {*np.bincount(image, drawn)} == {0, 4}


@pytest.mark.usefixtures("many")
def test_a_part_is_drawn_of_images_with_very_many_regions() -> None:
    rows = sample_of_images(np.arange(COUNT) % 2, 0)
    assert len(rows) == N_SAMPLED
    assert {*(rows % 2)} == {0, 1}


@pytest.mark.usefixtures("many")
def test_centres_are_the_means_of_all_their_regions() -> None:
    features, rows = _described(), np.flatnonzero(KIND > 0)
    centres, labels = kmeans(features, 3, 0, rows)
    assert adjusted_rand_score(KIND[rows], labels) == 1
    means = np.stack([features[rows][labels == label].mean(0) for label in range(3)])
    np.testing.assert_allclose(centres, means, atol=1e-6)


@pytest.mark.usefixtures("many")
def test_all_regions_are_judged_by_a_sample() -> None:
    fitted, normal = fit_normality(_described(), _regions(), 0)
    assert len(fitted.features) == N_SAMPLED
    assert np.array_equal(normal > 0.5, KIND == 0)


@pytest.mark.usefixtures("many")
def test_no_region_is_known_by_another_one_of_its_image() -> None:
    features = _described()
    features[-2:] = np.eye(WIDTH, dtype=np.float32)[40]
    for seed in range(5):
        detector, found = fit_novelty(features, _regions(), np.arange(COUNT), seed)
        assert len(detector.features) == N_SAMPLED
        assert found[-2:].min() > 0.99
        assert 0.2 < np.median(found) < 0.6


def test_discovery_is_the_same_with_a_sample(
    encoder: RegionEncoder, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    exact = _discover(encoder, tmp_path)
    _, known = fit_reliability(exact, _regions(), ReliabilityConfig(), 0)
    request.getfixturevalue("many")
    sampled = _discover(encoder, tmp_path)
    assert adjusted_rand_score(KIND, exact.probabilities.argmax(1)) == 1
    assert adjusted_rand_score(KIND, sampled.probabilities.argmax(1)) == 1
    assert np.array_equal(sampled.probabilities.argmax(1) == 0, KIND == 0)
    model, assessed = fit_reliability(sampled, _regions(), ReliabilityConfig(), 0)
    assert model.novelty_detector is not None
    assert len(model.novelty_detector.features) == N_SAMPLED
    np.testing.assert_allclose(assessed.calibrated, known.calibrated, atol=0.1)
    features, _ = classify(sampled.classifier, sampled.normality, _tokens(), _regions())
    np.testing.assert_array_equal(features, sampled.features)
    rows = np.array([5, 70, 400])
    some = describe_all(sampled.classifier, _tokens(), _regions(), rows)
    np.testing.assert_allclose(some, features[rows], atol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = _described()
    probabilities = np.full((COUNT, 4), 0.25, np.float32)
    said = np.where(np.arange(COUNT) < 40, KIND, -1)
    said_of = (_regions(), probabilities, said, 4, np.arange(4), 0)

    def found() -> list[NDArray[np.floating]]:
        corrected = fit_correction(features, *said_of)[1]
        many_points = np.tile(features, (4, 1))
        return [corrected, typicality(features, KIND), project(many_points)]

    whole = found()
    monkeypatch.setattr(sampling, "BLOCK", 64)
    for one, other in zip(whole, found(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
