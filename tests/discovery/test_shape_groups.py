"""When sizes and elongations count."""

import numpy as np
import pytest

from anomalyncd.discovery.shape_groups import fit_shape_scale, has_groups, variance_within


def test_groups_far_apart_are_clear() -> None:
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(0, 0.1, 30), rng.normal(1, 0.1, 20)])
    three = np.concatenate([rng.normal(centre, 0.02, 5) for centre in (0, 1, 2.5)])

    assert has_groups(two)
    assert has_groups(three)


@pytest.mark.parametrize("count", [8, 50, 400])
def test_values_without_groups_rarely_have_some(count: int) -> None:
    rng = np.random.default_rng(0)
    uniform = [has_groups(rng.uniform(size=count)) for _ in range(50)]
    normal = [has_groups(rng.normal(size=count)) for _ in range(50)]

    assert sum(uniform) <= 4
    assert sum(normal) <= 4


def test_an_outlier_is_no_group() -> None:
    values = np.append(np.random.default_rng(0).normal(size=60), 20)

    assert not has_groups(values)


@pytest.mark.parametrize("values", [[], [1, 2], [3.0] * 20])
def test_few_or_equal_values_have_no_groups(values: list[float]) -> None:
    assert not has_groups(np.array(values, float))


def test_the_best_groups_leave_least_variance() -> None:
    values = np.array([[0, 0, 1, 1, 5, 5.0]])

    assert variance_within(values, 3)[0] == pytest.approx(0, abs=1e-12)
    # 0, 0, 1, 1 against 5, 5: the squares are 4 * 0.25 within, 28 in all.
    assert variance_within(values, 2)[0] == pytest.approx(1 / 28)


def test_only_measures_with_groups_get_a_scale() -> None:
    rng = np.random.default_rng(0)
    grouped = np.repeat([0, 4.0], 20) + rng.normal(0, 0.1, 40)
    shapes = np.stack([rng.normal(size=40), grouped], axis=1)
    shapes = np.concatenate([shapes, [[np.nan, np.nan]]])
    centre, scale = fit_shape_scale(shapes)

    assert scale[0] == 0
    assert scale[1] == pytest.approx(1 / grouped.std())
    assert centre[1] == pytest.approx(grouped.mean())
