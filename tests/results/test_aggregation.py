"""Merging regions into images."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyncd.results.aggregation import (
    class_areas,
    merge_regardless_of_area,
    merge_regions,
    merging_temperature,
)

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "metrics_and_merging.json").read_text("utf-8")
)
MERGED = [case for case in GOLDEN if "image_probability" in case]


def _random_regions(
    seed: int, n_images: int, n_classes: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Probabilities, areas and images of some regions, in no order; every image has one."""
    rng = np.random.default_rng(seed)
    image = np.concatenate([np.arange(n_images), rng.integers(0, n_images, 2 * n_images)])
    rng.shuffle(image)
    probabilities = rng.dirichlet(np.ones(n_classes), len(image))
    return probabilities, rng.integers(0, 10**6, len(image)), image


def test_published_values() -> None:
    assert len(MERGED) == 2
    for case in MERGED:
        merged = merge_regions(
            np.array(case["region_probabilities"]),
            np.array(case["region_areas_px"]),
            np.zeros(len(case["region_areas_px"]), np.int64),
            1,
            case["temperature"],
        )
        np.testing.assert_allclose(merged[0], case["image_probability"], rtol=1e-12)


def test_images_do_not_mix() -> None:
    probabilities, areas, image = _random_regions(0, n_images=7)
    temperature = np.linspace(20, 80, 7)
    together = merge_regions(probabilities, areas, image, 7, temperature)
    for index in range(7):
        of_image = image == index
        alone = merge_regions(
            probabilities[of_image],
            areas[of_image],
            np.zeros(of_image.sum(), np.int64),
            1,
            temperature[index],
        )
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_images=st.integers(1, 6))
def test_merged_is_a_mean_of_the_regions_of_the_image(seed: int, n_images: int) -> None:
    probabilities, areas, image = _random_regions(seed, n_images)
    merged = merge_regions(probabilities, areas, image, n_images, 50)
    np.testing.assert_allclose(merged.sum(1), 1, rtol=1e-12)
    for index in range(n_images):
        regions = probabilities[image == index]
        assert (merged[index] <= regions.max(0) + 1e-12).all()
        assert (merged[index] >= regions.min(0) - 1e-12).all()


def test_larger_region_counts_more() -> None:
    probabilities = np.eye(2)
    image = np.zeros(2, np.int64)
    equal = merge_regions(probabilities, np.array([500, 500]), image, 1, 50)
    np.testing.assert_allclose(equal, [[0.5, 0.5]])
    # sqrt(10000) - sqrt(2500) is one temperature of 50: weights 1 to 1/e.
    unequal = merge_regions(probabilities, np.array([10000, 2500]), image, 1, 50)
    np.testing.assert_allclose(unequal, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]])


def test_huge_areas_and_empty_masks_stay_finite() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7], [0.5, 0.5]])
    areas = np.array([10**12, 10**12, 0, 0])
    merged = merge_regions(probabilities, areas, np.array([0, 0, 1, 1]), 2, 1e-3)
    np.testing.assert_allclose(merged, [[0.5, 0.5], [0.4, 0.6]])


def test_image_without_a_region_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image 1 has no region \(2 of 4 have none\)"):
        merge_regions(np.eye(2), np.array([1, 1]), np.array([0, 2]), 4, 50)


def test_merging_regardless_of_area() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.2, 0.8], [0.6, 0.4], [0.0, 1.0]])
    image = np.array([1, 1, 0, 2, 2])
    scores = np.array([0.9, 0.3, 0.5, 0.0, 0.0], np.float32)
    mean = merge_regardless_of_area(probabilities, scores, image, 3, "mean")
    np.testing.assert_allclose(mean, [[0.2, 0.8], [0.5, 0.5], [0.3, 0.7]])
    by_score = merge_regardless_of_area(probabilities, scores, image, 3, "score")
    np.testing.assert_allclose(by_score, [[0.2, 0.8], [0.75, 0.25], [0.3, 0.7]], rtol=1e-6)
    with pytest.raises(ValueError, match="image 3 has no region"):
        merge_regardless_of_area(probabilities, scores, image, 4, "mean")


def test_temperature_is_between_those_of_the_paper() -> None:
    mvtec_ad, mtd = merging_temperature(np.array([965, 316]), np.array([965, 316]))
    assert mvtec_ad == pytest.approx(100, rel=0.22)
    assert mtd == pytest.approx(50, rel=0.22)
    assert merging_temperature(400, 100) == merging_temperature(100, 400)


def test_resizing_the_images_changes_nothing() -> None:
    probabilities, areas, image = _random_regions(3, n_images=5)
    areas *= 3**2
    sizes = np.random.default_rng(3).integers(200, 1000, (2, 5)) * 3
    merged = merge_regions(probabilities, areas, image, 5, merging_temperature(*sizes))
    small = merge_regions(probabilities, areas // 9, image, 5, merging_temperature(*sizes // 3))
    np.testing.assert_allclose(merged, small, rtol=1e-12)


def test_composite_image_lists_each_class_with_its_area() -> None:
    pixels = class_areas(
        assignment=np.array([2, 0, 2, 1]),
        areas=np.array([30, 7, 12, 5]),
        image_of_region=np.array([0, 0, 0, 2]),
        n_images=3,
        n_classes=4,
    )
    assert pixels.dtype == np.int64
    np.testing.assert_array_equal(pixels, [[7, 0, 42, 0], [0, 0, 0, 0], [0, 5, 0, 0]])
