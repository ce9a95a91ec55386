"""A run with thousands of regions: what a page asks for after each action comes at once."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anomalyncd.results.run_folder import read_run
from anomalyncd.review.session import ReviewSession
from support.large_run import make_large_run
from support.review import TOKEN, Client, client_of, wait_until

N_REGIONS = 6000


@pytest.fixture
def large_session(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReviewSession]:
    monkeypatch.setenv("ANOMALYNCD_CACHE", str(tmp_path / "cache"))
    run = read_run(make_large_run(finished_run, tmp_path / "run", N_REGIONS))
    session = ReviewSession(run, run.labels)
    yield session
    session.close()


@pytest.fixture
def large(large_session: ReviewSession) -> Client:
    client = client_of(large_session)
    client.get(f"/?token={TOKEN}", follow_redirects=False)
    client.answer("/api/projection")
    wait_until(lambda: not client.answer("/api/state")["refitting"], 60)
    return client


def seconds(client: Client, address: str) -> float:
    """The best of three, since other programs use this machine too."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        client.answer(address)
        taken.append(time.perf_counter() - start)
    return min(taken)


def test_pages_of_a_large_run_come_at_once(large: Client) -> None:
    assert large.answer("/api/state")["n_regions"] >= N_REGIONS
    large.act("move", regions=list(range(1, 2001)), **{"class": 1})
    for address in (
        "/api/state",
        "/api/regions?view=class&class=1&limit=300",
        "/api/regions?view=ask&limit=300",
        "/api/assignment",
        "/api/projection",
        "/api/images",
    ):
        assert seconds(large, address) < 0.3, address


def test_every_region_has_its_place_near_its_like(
    large: Client, large_session: ReviewSession
) -> None:
    found = large.answer("/api/projection")
    points = np.column_stack([found["x"], found["y"]])
    n_small = len(points) // len({name[:4] for name in large_session.arrays.names})
    copies = points.reshape(-1, n_small, 2)
    within = np.linalg.norm(copies - np.median(copies, axis=0), axis=-1)
    others = np.linalg.norm(points - np.median(points, axis=0), axis=-1)
    assert np.median(within) < 0.5 * np.median(others)


def test_pictures_of_copies_are_those_of_the_original(large: Client) -> None:
    first = large.answer("/api/regions?view=all&limit=1")["items"][0]["id"]
    assert large.get(f"/picture/region/{first}.jpg").status_code == 200
