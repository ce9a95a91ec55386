"""A small finished run, and the server of its review without a network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anomalyncd import AnomalyNCD
from anomalyncd.results.run_folder import Run, read_run
from anomalyncd.review.session import ReviewSession
from anomalyncd.workflows import discover_run
from support.quick import use_tiny
from support.review import TOKEN, Client, client_of


@pytest.fixture(scope="session")
def finished_run(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of twelve images; nobody writes into it."""
    folder = tmp_path_factory.mktemp("review")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny(monkeypatch, folder / "cache")
        discover_run(
            AnomalyNCD(3, backbone="tiny", weights=tiny_weights), images_folder, folder / "run"
        )
    return folder / "run"


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run that nobody said anything about yet, and an empty cache."""
    monkeypatch.setenv("ANOMALYNCD_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def run(run_folder: Path) -> Run:
    return read_run(run_folder)


@pytest.fixture
def session(run: Run) -> Iterator[ReviewSession]:
    session = ReviewSession(run, run.labels)
    yield session
    session.close()


@pytest.fixture
def client(session: ReviewSession) -> Client:
    """A browser that has opened the link."""
    client = client_of(session)
    assert client.get(f"/?token={TOKEN}", follow_redirects=False).status_code == 303
    return client


@pytest.fixture
def settled(session: ReviewSession) -> Callable[[], None]:
    """Waits until no refit is due."""
    from support.review import wait_until

    return lambda: wait_until(lambda: session.now() is not None and not session.refitting)
