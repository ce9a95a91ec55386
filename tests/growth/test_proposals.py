"""Classes that are proposed: groups that are new, and nothing else."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd.errors import InputError
from anomalyncd.growth.proposals import accept_proposal, proposals, propose_classes
from anomalyncd.labels.book import LabelBook
from anomalyncd.regions.table import Regions
from anomalyncd.results.run_folder import Run

WIDTH, N_KINDS, SPREAD = 64, 7, 0.04


def _descriptors(kinds: Sequence[int] | np.ndarray, seed: int = 0) -> np.ndarray:
    """Unit vectors around the centre of each kind."""
    centres = np.linalg.qr(np.random.default_rng(99).normal(size=(WIDTH, WIDTH)))[0][:N_KINDS]
    noise = np.random.default_rng(seed).normal(size=(len(kinds), WIDTH))
    features = centres[np.asarray(kinds)] + SPREAD * noise
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def _regions(images: Sequence[int]) -> Regions:
    count = len(images)
    box, area = np.tile([0.0, 0, 20, 20], (count, 1)), np.full(count, 400)
    score, found = np.ones(count, np.float32), np.ones(count, np.bool_)
    return Regions(np.asarray(images), box, area, score, found)


KNOWN = np.arange(200) % 4
KNOWN_AGAIN = np.arange(40) % 4


def _proposed(
    added: Sequence[int], images: Sequence[int] | None = None, found: Sequence[bool] | None = None
) -> list[np.ndarray]:
    """The proposals among regions that were added to 200 regions of four kinds."""
    kinds = np.concatenate([KNOWN, np.asarray(added, np.int64)])
    regions = _regions(range(len(kinds)))
    if images is not None:
        regions.image[len(KNOWN) :] = 1000 + np.asarray(images)
    if found is not None:
        regions.found[len(KNOWN) :] = found
    candidates = np.arange(len(kinds)) >= len(KNOWN)
    return propose_classes(_descriptors(kinds), regions, np.minimum(kinds, 3), candidates, 0)


def test_a_new_kind_is_proposed_and_known_kinds_are_not() -> None:
    (rows,) = _proposed([*KNOWN_AGAIN, *[4] * 12])
    assert len(rows) >= 10
    assert set(rows) <= set(range(240, 252))
    assert _proposed(KNOWN_AGAIN) == []
    assert _proposed([]) == []


def test_many_regions_of_known_kinds_are_not_new() -> None:
    assert _proposed(np.arange(800) % 4) == []
    (rows,) = _proposed([*(np.arange(400) % 4), *[4] * 60])
    assert len(rows) > 40
    assert set(rows) <= set(range(600, 660))


def test_two_new_kinds_are_two_proposals_the_larger_first() -> None:
    first, second = _proposed([*KNOWN_AGAIN, *[5] * 9, *[4] * 12])
    assert len(first) >= 9
    assert set(first) <= set(range(249, 261))
    assert len(second) >= 7
    assert set(second) <= set(range(240, 249))


def test_the_most_typical_region_comes_first() -> None:
    (rows,) = _proposed([*KNOWN_AGAIN, *[4] * 12])
    features = _descriptors([*KNOWN, *KNOWN_AGAIN, *[4] * 12])
    cosines = features[rows] @ features[rows].mean(0)
    assert (np.diff(cosines) <= 0).all()


def test_few_regions_or_images_are_no_class() -> None:
    assert _proposed([*KNOWN_AGAIN, *[4] * 3]) == []
    of_two_images = [*range(40), *[50] * 6, *[51] * 6]
    assert _proposed([*KNOWN_AGAIN, *[4] * 12], of_two_images) == []
    assert _proposed([*KNOWN_AGAIN, *[4] * 12], found=[*[True] * 40, *[False] * 12]) == []


def test_fifty_thousand_regions_take_seconds() -> None:
    n_known, n_added = 40_000, 10_000
    kinds = np.arange(n_known + n_added) % 4
    kinds[-200:] = 4
    candidates = np.arange(len(kinds)) >= n_known
    features, regions = _descriptors(kinds), _regions(range(len(kinds)))
    start = time.perf_counter()
    groups = propose_classes(features, regions, np.minimum(kinds, 3), candidates, 0)
    assert time.perf_counter() - start < 60
    assert len(groups[0]) > 100
    assert set(np.concatenate(groups)) <= set(range(len(kinds) - 200, len(kinds)))


def _run(folder: Path, n_added: Sequence[int]) -> Run:
    """Forty regions of four kinds, and some of further kinds that were added."""
    kinds = np.array([*KNOWN[:40], *np.repeat(np.arange(len(n_added)) + 4, n_added)])
    names = [f"image {index}" for index in range(len(kinds))]
    regions = pd.DataFrame({"name": names, "left": 0.0, "top": 0.0, "right": 20.0, "bottom": 20.0})
    regions = regions.assign(area=400, score=1.0, found=True, unseen=False)
    images = pd.DataFrame({"name": names})
    none = np.zeros((0, 0), np.int64)
    record = {"n_discovered": 40}
    run = Run(
        folder,
        images,
        regions,
        images,
        _descriptors(kinds),
        none,
        np.zeros(0, np.float32),
        None,
        record,
    )
    np.save(folder / "probabilities.npy", np.eye(4, dtype=np.float32)[np.minimum(kinds, 3)])
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return _run(tmp_path, [12])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_number_is_about_the_same_regions_after_others_were_accepted(
    order: Sequence[int], tmp_path: Path
) -> None:
    run = _run(tmp_path, [14, 12, 10])
    labels = run.labels
    first = proposals(run, labels)
    kinds = np.repeat([0, 1, 2, 3], [40, 14, 12, 10])
    assert [kinds[one.rows[0]] for one in first[:3]] == [2, 3, 1], "in this order"
    for index in order:
        class_id, _ = accept_proposal(run, labels, first[index].key)
        of_class = np.flatnonzero(labels.said() == class_id)
        assert first[index].rows[0] in of_class
        assert (kinds[of_class] == kinds[first[index].rows[0]]).mean() > 0.8


def test_proposals_have_names_and_typical_regions_and_can_be_accepted(run: Run) -> None:
    labels = run.labels
    (proposal,) = proposals(run, labels)
    assert proposal.name == "new kind 1"
    assert proposal.n_images == len(proposal.rows) >= 10
    assert list(proposal.typical) == list(proposal.rows[:3])
    assert proposal.key == labels.ids[proposal.rows[0]]
    with pytest.raises(InputError, match=f"no proposal 2 .*; choose one of {proposal.key}"):
        accept_proposal(run, labels, 2)
    class_id, n_regions = accept_proposal(run, labels, proposal.key)
    assert (class_id, n_regions) == (4, len(proposal.rows))
    assert labels.state.classes[4].name == "new kind 1"
    assert (labels.said()[proposal.rows] == 4).all()
    assert proposals(run, labels) == [], "what was said is known"
    with pytest.raises(InputError, match="no class is proposed for it any more"):
        accept_proposal(run, labels, proposal.key)
    labels.undo()
    labels.new_class("New kind 1")
    assert [one.name for one in proposals(run, labels)] == ["new kind 2"]


def test_regions_that_a_person_confirmed_are_known(run: Run) -> None:
    labels: LabelBook = run.labels
    labels.move(labels.ids[40:].tolist(), 1)
    assert proposals(run, labels) == []
