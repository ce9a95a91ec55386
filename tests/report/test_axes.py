"""The numbers along an axis."""

import pytest

from anomalyncd.report.axes import round_ticks


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0), (0, 7), (0.001, 0.002), (0, 12345)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-6 for tick in ticks)


def test_counts_have_whole_ticks() -> None:
    assert round_ticks(0, 1, whole=True) == [0, 1]
    for high in range(2, 60):
        assert all(tick == round(tick) for tick in round_ticks(0, high, whole=True))
    assert round_ticks(0, 10) == [0.0, 2.5, 5.0, 7.5, 10.0]
