"""Changes of a line that dataeval's tests of two samples find, too; run by `make test-dataeval`.

dataeval compares the images of a line with those of the fit once, when all are there. Our monitor
looks after every hour, so it may need more images, but it must not stay silent in the end.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from anomalyncd.line.drift import SUBJECTS, DriftMonitor, Observation, Subject
from anomalyncd.results.fit_counts import FitCounts

if find_spec("dataeval") is None:
    pytest.skip("dataeval is not installed; see `make test-dataeval`", allow_module_level=True)

from dataeval.shift import DriftUnivariate

START = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
N_CLASSES = 4
SHARES = (0.7, 0.15, 0.1, 0.05)
N_OF_FIT, N_HOURS, PER_HOUR = 500, 24, 40
CERTAIN = 0.001
"""Largest p-value at which dataeval counts as certain, over all columns of a subject."""

Change = Callable[[Observation, np.random.Generator], Observation]


def usual(rng: np.random.Generator) -> Observation:
    """An image like those of the fit: defects have higher scores, and one in 50 is unseen."""
    class_id = int(rng.choice(N_CLASSES, p=SHARES))
    score = float(rng.beta(2, 8) if class_id == 0 else rng.beta(6, 4))
    novelty = float(rng.random())
    return Observation(novelty > 0.98, novelty, class_id, score)


def unchanged(image: Observation, rng: np.random.Generator) -> Observation:
    return image


def new_kind(image: Observation, rng: np.random.Generator) -> Observation:
    return replace(image, unseen=True, novelty=1.0) if rng.random() < 0.08 else image


def darker_light(image: Observation, rng: np.random.Generator) -> Observation:
    return replace(image, score=min(1.0, image.score + 0.1))


def worn_tool(image: Observation, rng: np.random.Generator) -> Observation:
    return replace(image, class_id=1) if rng.random() < 0.15 else image


def line(change: Change, seed: int) -> tuple[list[Observation], list[Observation]]:
    rng = np.random.default_rng(seed)
    fit = [usual(rng) for _ in range(N_OF_FIT)]
    return fit, [change(usual(rng), rng) for _ in range(N_HOURS * PER_HOUR)]


def found_by_us(fit: list[Observation], images: list[Observation]) -> set[Subject]:
    table = pd.DataFrame({name: [getattr(one, name) for one in fit] for name in vars(fit[0])})
    classes = pd.DataFrame({"class": range(N_CLASSES), "class_name": list("abcd")})
    monitor = DriftMonitor(
        FitCounts.of_images(table.rename(columns={"class_id": "class"}), classes)
    )
    for index, image in enumerate(images):
        monitor.add(START + timedelta(hours=index // PER_HOUR), image)
    return {drift.subject for drift in monitor.drifts()}


def columns(images: list[Observation], subject: Subject) -> NDArray[np.float32]:
    """What is compared of images, (N, columns)."""
    if subject == "unseen":
        values = [[one.unseen] for one in images]
    elif subject == "scores":
        values = [[one.score] for one in images]
    else:
        values = np.eye(N_CLASSES)[[one.class_id for one in images]].tolist()
    return np.array(values, np.float32)


def found_by_dataeval(fit: list[Observation], images: list[Observation]) -> set[Subject]:
    found = set[Subject]()
    for subject in SUBJECTS:
        before, now = columns(fit, subject), columns(images, subject)
        # The ranks of two values differ as their shares do.
        method: Literal["ks", "mwu"] = "ks" if subject == "scores" else "mwu"
        detector = DriftUnivariate(method, p_val=CERTAIN, correction="bonferroni")
        if detector.fit(before).predict(now).drifted:
            found.add(subject)
    return found


@pytest.mark.parametrize(
    ("change", "subject"),
    [(new_kind, "unseen"), (darker_light, "scores"), (worn_tool, "classes")],
)
@pytest.mark.parametrize("seed", range(3))
def test_both_find_a_change(change: Change, subject: Subject, seed: int) -> None:
    fit, images = line(change, seed)
    assert subject in found_by_dataeval(fit, images)
    assert subject in found_by_us(fit, images)


@pytest.mark.parametrize("change", [unchanged, new_kind, darker_light, worn_tool])
@pytest.mark.parametrize("seed", range(3))
def test_we_find_no_change_that_dataeval_does_not(change: Change, seed: int) -> None:
    fit, images = line(change, seed)
    assert found_by_us(fit, images) <= found_by_dataeval(fit, images)
