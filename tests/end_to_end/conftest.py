"""A folder with everything in good order, made once, and a working folder that shares its files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from support.bad_inputs import link, put_in_order, tree, use_weights


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On models as small as these, more threads only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def good_order(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Inputs and finished runs in good order; nobody writes into them."""
    order = tmp_path_factory.mktemp("shared").resolve() / "order"
    with pytest.MonkeyPatch.context() as patch:
        put_in_order(order, patch)
    before = tree(order)
    yield order
    assert tree(order) == before


@pytest.fixture
def place(good_order: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the same files; to change one, unlink it first."""
    use_weights(good_order, monkeypatch)
    link(good_order, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"
