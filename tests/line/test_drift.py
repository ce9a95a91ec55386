"""Drift: e-values have a mean of 1 where nothing changed, and what changed is found and said."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln

from anomalyncd.line import drift as drift_module
from anomalyncd.line.drift import DriftMonitor, Observation, log_evidence
from anomalyncd.results.fit_counts import FitCounts

START = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
FIT = FitCounts(
    n_images=500,
    n_unseen=5,
    n_far=1,
    class_ids=(0, 1),
    n_of_class=(400, 100),
    class_names=("normal", "scratch"),
    score_edges=(0.2, 0.5),
    n_of_scores=(300, 100, 100),
)
NORMAL = Observation(unseen=False, novelty=0.0, class_id=0, score=0.1)
NEW = replace(NORMAL, unseen=True, novelty=1.0)


def images(rng: np.random.Generator, count: int, share: float = 0.0) -> Iterable[Observation]:
    """Images like those of the fit, some of them of a new kind."""
    for _ in range(count):
        unseen = bool(rng.random() < 0.01)
        class_id = int(rng.random() < 0.2)
        score = float(rng.choice([0.1, 0.3, 0.7], p=[0.6, 0.2, 0.2]))
        like = Observation(unseen, 0.97, class_id, score)
        yield replace(like, unseen=True, novelty=1.0) if rng.random() < share else like


def fill(monitor: DriftMonitor, hours: Iterable[int], per_hour: int, share: float = 0.0) -> None:
    for hour in hours:
        rng = np.random.default_rng(hour)
        for image in images(rng, per_hour, share):
            monitor.add(START + timedelta(hours=hour), image)


@pytest.mark.parametrize("prior", [(9.0, 0.5, 0.5), (0.5, 0.5, 0.5)])
def test_evidence_has_a_mean_of_one_where_nothing_changed(prior: tuple[float, ...]) -> None:
    fit, totals = np.array([4, 1, 0]), np.zeros(2)
    for values in product(range(3), repeat=4):
        hourly = np.array([np.bincount(part, minlength=3) for part in (values[:2], values[2:])])
        everything = fit + hourly.sum(0)
        # Probability of this sequence after the fit, under one distribution with Jeffreys' prior.
        log_chance = sum(gammaln(0.5 + everything) - gammaln(0.5 + fit))
        log_chance -= gammaln(1.5 + everything.sum()) - gammaln(1.5 + fit.sum())
        totals += np.exp(log_chance + log_evidence(fit, hourly, prior))
    assert totals == pytest.approx([1.0, 1.0])


def test_nothing_is_said_of_a_line_like_its_fit() -> None:
    monitor = DriftMonitor(FIT)
    assert monitor.drift() is None
    assert monitor.unseen_shares() is None
    for hour in range(100):
        fill(monitor, [hour], 30)
        assert monitor.drift() is None
    assert monitor.unseen_shares() == pytest.approx((0.0, 0.01), abs=0.1)


def test_new_kind_is_found_with_the_hour_of_its_start() -> None:
    monitor = DriftMonitor(FIT)
    fill(monitor, range(50), 40)
    fill(monitor, range(50, 62), 40, share=0.12)
    drift = monitor.drift()
    assert drift is not None
    assert drift.subject == "unseen"
    assert abs(drift.since - START - timedelta(hours=50)) <= timedelta(hours=2)
    assert drift.share == pytest.approx(0.13, abs=0.05)
    assert drift.share_of_fit == pytest.approx(0.01)


def test_difference_is_over_when_the_images_are_as_before() -> None:
    monitor = DriftMonitor(FIT)
    fill(monitor, range(2), 40)
    fill(monitor, range(2, 4), 40, share=0.2)
    assert monitor.drift() is not None
    fill(monitor, range(4, 400), 40)
    assert monitor.drift() is None


@pytest.mark.parametrize(
    ("image", "subject", "what"),
    [
        (replace(NORMAL, class_id=1), "classes", "are most like scratch (20 % when"),
        (replace(NORMAL, class_id=7), "classes", "are most like another class (0 % when"),
        (replace(NORMAL, score=0.9), "scores", "have a score above 0.500 (20 % when"),
    ],
)
def test_each_subject_is_compared(image: Observation, subject: str, what: str) -> None:
    monitor = DriftMonitor(FIT)
    for index in range(100):
        monitor.add(START + timedelta(hours=index), image)
    found = {drift.subject: str(drift) for drift in monitor.drifts()}
    assert what in found[subject]
    assert "unseen" not in found


def test_sentence_names_time_and_shares() -> None:
    monitor = DriftMonitor(FIT)
    for _ in range(50):
        monitor.add(START, NORMAL)
    for index in range(100):
        monitor.add(START + timedelta(hours=1), NEW if index < 12 else NORMAL)
    drift = monitor.drift()
    assert drift is not None
    local = (START + timedelta(hours=1)).astimezone()
    assert str(drift) == (
        f"since Tuesday 24 November, {local:%H:%M}, 12 % of images show something unlike anything "
        "seen (1 % when the model was made)"
    )


def test_small_difference_is_not_said_however_certain() -> None:
    monitor = DriftMonitor(replace(FIT, n_images=500_000, n_unseen=500, n_far=0))
    for hour in range(200):
        for index in range(1000):
            image = replace(NEW, novelty=0.97) if index < 6 else NORMAL
            monitor.add(START + timedelta(hours=hour), image)
    assert "unseen" not in {drift.subject for drift in monitor.drifts()}


def test_clock_that_is_set_back_opens_no_hour_again() -> None:
    monitor = DriftMonitor(FIT)
    for hour in (5, 3, 5):
        monitor.add(START + timedelta(hours=hour), NEW)
    assert monitor.unseen_shares() == (1.0, 0.01)


def test_scores_are_left_out_where_they_are_not_comparable() -> None:
    monitor = DriftMonitor(FIT.without_scores())
    for _ in range(200):
        monitor.add(START, replace(NORMAL, score=0.9))
    assert "scores" not in {drift.subject for drift in monitor.drifts()}


def test_what_has_one_value_never_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """After years, the sum over the hours alone would exceed the bound."""
    monkeypatch.setattr(drift_module, "_HOURS", 1)
    monitor = DriftMonitor(replace(FIT, score_edges=(), n_of_scores=(500,)))
    monitor.add(START, NEW)
    assert "scores" not in {drift.subject for drift in monitor.drifts()}
