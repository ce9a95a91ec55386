"""Scores of many weightings at once, and intervals of differences."""

import numpy as np
import pytest

from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd_bench.report.bootstrap import SCORES, paired_differences, weighted_scores

RNG = np.random.default_rng(3)
TRUE = RNG.integers(0, 4, 80)
GOOD = np.where(RNG.random(80) < 0.9, TRUE, RNG.integers(0, 5, 80))
POOR = np.where(RNG.random(80) < 0.3, TRUE, RNG.integers(0, 5, 80))


@pytest.mark.parametrize("predicted", [GOOD, POOR, TRUE, np.zeros(80, int)])
def test_weights_mean_repeated_images(predicted: np.ndarray) -> None:
    weights = np.vstack([np.ones(80, int), RNG.multinomial(80, np.full(80, 1 / 80), 5)])
    several = weighted_scores(TRUE, predicted, weights)
    assert several.shape == (3, 6)
    for scores, weight in zip(several.T, weights, strict=True):
        rows = np.repeat(np.arange(80), weight)
        one = cluster_scores(TRUE[rows], predicted[rows])
        np.testing.assert_allclose(scores, [one.nmi, one.ari, one.f1], atol=1e-9)


def test_a_single_class_on_both_sides_agrees() -> None:
    none = np.zeros(6, int)
    np.testing.assert_array_equal(weighted_scores(none, none, np.ones((1, 6), int)), 1)


def test_a_method_does_not_differ_from_itself() -> None:
    for gap in paired_differences(TRUE, [GOOD, POOR], [GOOD, POOR]).values():
        assert (gap.low, gap.mean, gap.high) == (0, 0, 0)


def test_equally_good_methods_are_not_separated() -> None:
    other = np.where(np.random.default_rng(8).random(80) < 0.9, TRUE, 4)
    for gap in paired_differences(TRUE, [GOOD], [other]).values():
        assert gap.low < 0 < gap.high


def test_photographs_of_one_part_are_drawn_together() -> None:
    alone = paired_differences(TRUE, [GOOD], [POOR])
    repeated = [np.repeat(one, 5) for one in (TRUE, GOOD, POOR)]
    true, good, poor = repeated
    together = paired_differences(true, [good], [poor], np.repeat(np.arange(80), 5))
    apart = paired_differences(true, [good], [poor])
    for name in ("nmi", "f1"):
        widths = [one[name].high - one[name].low for one in (alone, together, apart)]
        assert widths[1] == pytest.approx(widths[0])
        assert widths[2] < 0.6 * widths[0]


def test_a_better_method_is_separated_by_the_difference_of_the_means() -> None:
    differences = paired_differences(TRUE, [GOOD, GOOD], [POOR, TRUE])
    good, poor = cluster_scores(TRUE, GOOD), cluster_scores(TRUE, POOR)
    for name in SCORES:
        expected = getattr(good, name) - (getattr(poor, name) + 1) / 2
        assert differences[name].mean == pytest.approx(expected)
        assert differences[name].low < differences[name].mean < differences[name].high
        assert differences[name].low > 0
