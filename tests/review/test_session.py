"""What a review shows is what a correction of the run then writes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomalyncd.results.run_folder import read_run
from anomalyncd.review import session as session_module
from anomalyncd.review.session import ReviewSession
from anomalyncd.revision import correct_run
from support.review import wait_until


def test_review_shows_what_a_correction_writes(
    session: ReviewSession, run_folder: Path, settled: Callable[[], None]
) -> None:
    labels, ids = session.labels, session.arrays.ids
    labels.move(ids[[0, 3]], 1)
    labels.move(ids[[7]], 2)
    made = labels.new_class("dust", ids[[5, 9]])
    labels.edit(made, kind="ignored")
    settled()
    correct_run(run_folder)
    run, snapshot = read_run(run_folder), session.now()
    np.testing.assert_array_equal(snapshot.classes, run.regions["class"])
    np.testing.assert_array_equal(snapshot.image_classes, run.images["class"])
    written = run.images[[f"p_{one}" for one in range(made + 1)]].to_numpy()
    np.testing.assert_allclose(snapshot.image_probabilities, written, atol=1e-5)


def test_what_was_said_is_shown_before_the_refit_ends(
    session: ReviewSession, monkeypatch: pytest.MonkeyPatch, settled: Callable[[], None]
) -> None:
    settled()
    waiting: list[int] = []
    refit = session_module.refit

    def slow(*arguments: object) -> object:
        waiting.append(1)
        wait_until(lambda: not waiting)
        return refit(*arguments)

    monkeypatch.setattr(session_module, "refit", slow)
    ids = session.arrays.ids
    session.labels.move(ids[[0]], 2)
    shown = session.now()
    wait_until(lambda: bool(waiting))
    assert shown.refitting
    assert shown.classes[0] == 2
    session.labels.merge(2, [1])
    merged = session.now()
    assert merged.n_regions[1] == 0
    assert merged.n_regions.sum() == len(ids)
    waiting.clear()
    wait_until(lambda: bool(waiting))  # The refit of what was said meanwhile.
    waiting.clear()
    settled()
    assert not session.now().refitting


def test_undo_needs_no_refit(
    session: ReviewSession, monkeypatch: pytest.MonkeyPatch, settled: Callable[[], None]
) -> None:
    settled()
    before = session.now().probabilities
    session.labels.move(session.arrays.ids[[0]], 2)
    settled()
    refits: list[int] = []
    monkeypatch.setattr(session_module, "refit", lambda *_: refits.append(1))
    session.labels.undo()
    after = session.now()
    assert not after.refitting
    np.testing.assert_array_equal(after.probabilities, before)
    assert refits == []


def test_a_refit_that_fails_loses_nothing(
    session: ReviewSession, monkeypatch: pytest.MonkeyPatch, settled: Callable[[], None]
) -> None:
    settled()

    def fail(*_: object) -> None:
        raise ValueError("for the test")

    monkeypatch.setattr(session_module, "refit", fail)
    session.labels.move(session.arrays.ids[[0]], 2)
    assert session.now().classes[0] == 2
    settled()
    assert session.now().classes[0] == 2
