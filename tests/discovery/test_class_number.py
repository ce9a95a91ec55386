"""The number of classes, of clouds whose number is known."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd.config import ClassNumberConfig
from anomalyncd.discovery.class_number import ClassNumber, estimate_n_classes
from anomalyncd.discovery.class_number_criteria import (
    LabelledRegions,
    base_criteria,
    eigengaps,
    silhouettes,
    stabilities,
)
from anomalyncd.discovery.normality import fit_normality
from support.quick import scored_regions

SETTINGS = ClassNumberConfig(n_resamples=6)


def clouds(sizes: list[int], seed: int = 0, spread: float = 0.6) -> NDArray[np.float32]:
    """Unit vectors around one direction a kind, (sum of sizes, 40)."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(40, len(sizes))))[0].T
    points = np.repeat(centres, sizes, axis=0)
    points = points + rng.normal(size=points.shape) * spread / np.sqrt(40)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def count(sizes: list[int], n_normal: int = 0, **options: object) -> ClassNumber:
    """Estimates from clouds of which the first `n_normal` rows have low scores, one an image."""
    features = clouds(sizes)
    scores = np.full(len(features), 0.9, np.float32)
    scores[:n_normal] = 0.05
    config = replace(SETTINGS, **options)
    return estimate_n_classes(features, scored_regions(scores), None, config, seed=0)


@pytest.mark.parametrize(
    "sizes", [[40, 40], [30, 30, 30], [20] * 6, [60, 25, 12, 12], [15] * 9], ids=str
)
def test_number_of_clouds_is_found(sizes: list[int]) -> None:
    counted = count(sizes)
    number = len(sizes) + 1  # The normal class counts, although no region is normal.
    assert counted.estimate == number
    assert counted.low <= number <= counted.high


def test_normal_regions_are_one_class_more() -> None:
    counted = count([40, 25, 25, 25], n_normal=40)
    assert counted.estimate == 4
    assert counted.grid[0] == 3


def test_an_image_with_many_regions_does_not_dominate() -> None:
    image = np.concatenate([np.zeros(80, np.int64), np.arange(1, 61)])
    many = clouds([20, 20, 20, 20, 20, 20, 20], seed=1)
    scores = np.full(len(many), 0.9, np.float32)
    apart = estimate_n_classes(many, scored_regions(scores), None, SETTINGS, seed=0)
    together = estimate_n_classes(
        many, replace(scored_regions(scores), image=image), None, SETTINGS, seed=0
    )
    assert (apart.estimate, together.estimate) == (8, 4)


def test_equal_scores_make_no_region_normal() -> None:
    """Smoothing leaves rounding behind, in which no threshold is to be found."""
    _, normal = fit_normality(clouds([15, 15, 15]), scored_regions(np.full(45, 0.9)), seed=0)
    assert (normal < 0.5).all()


def test_bound_follows_the_images() -> None:
    assert count([15, 15, 15]).grid == tuple(range(3, 11))
    assert count([40, 40, 40, 40], max_classes=6).grid == (3, 4, 5, 6)


@pytest.mark.parametrize("n_regions", [1, 2, 9])
def test_too_few_images_to_tell(n_regions: int) -> None:
    counted = count([n_regions])
    assert (counted.estimate, counted.grid) == (2, ())
    assert "too few images" in str(counted)


def test_equal_regions_have_no_structure() -> None:
    features = np.tile(clouds([1]), (60, 1))
    scores = np.full(60, 0.5, np.float32)
    assert estimate_n_classes(features, scored_regions(scores), None, SETTINGS, 0).grid == ()


def test_record_is_read_back() -> None:
    counted = count([20, 20, 20])
    assert ClassNumber.from_record(asdict(counted)) == counted
    assert str(counted) == f"{counted.estimate} classes (likely {counted.low} to {counted.high})"


def test_same_seed_same_estimate() -> None:
    assert count([12, 30, 20]) == count([12, 30, 20])


def test_silhouettes_prefer_the_true_split() -> None:
    vectors = clouds([20, 20]).astype(np.float64)
    labels = np.stack([np.arange(40) // 20, np.arange(40) % 2, np.zeros(40, int)])
    right, wrong, single = silhouettes(vectors, labels)
    assert right > 0.3 > wrong
    assert single == -1


def test_stability_is_the_agreement_between_resamples() -> None:
    one, other = np.arange(40) // 20, np.arange(40) % 2
    values = stabilities(np.stack([[one, one], [one, other], [1 - one, one]]))
    assert values[:, 0].tolist() == [1, 1, 1]
    assert values[1, 1] < 0.1
    assert values[0, 1] == pytest.approx((1 + values[1, 1]) / 2)


def test_eigengap_is_largest_at_the_number_of_clouds() -> None:
    gaps = eigengaps(clouds([30] * 5).astype(np.float64), list(range(2, 10)))
    assert gaps.argmax() + 2 == 5


def test_labels_of_a_base_set_tell_a_number_too_small() -> None:
    everything = clouds([30] * 7, seed=3)
    known = LabelledRegions(everything[:90], np.repeat(np.arange(3), 30))
    rows = [np.arange(120)]
    found = base_criteria(everything[90:], known, rows, [2, 4, 6], seed=0)
    accuracy, prototypes = found["labelled accuracy"][0], found["prototype score"][0]
    assert accuracy[1] == pytest.approx(1, abs=0.05)
    assert prototypes[1] > prototypes[0]
    single = LabelledRegions(everything[[0, 30, 60]], np.arange(3))
    assert base_criteria(everything[90:], single, rows, [2, 4, 6], seed=0) == {}
