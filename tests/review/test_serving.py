"""The command, as a program of its own: events, two pages, and a server that is killed."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from anomalyncd.results.run_folder import read_run
from anomalyncd.review.file_store import FileStore
from anomalyncd.review.serving import review_token
from support.quick import call


class Server:
    """`anomalyncd review` in a process of its own."""

    def __init__(self, run: Path, port: int) -> None:
        start = "from anomalyncd.cli.main import main; main()"
        words = ["review", str(run), "--port", str(port)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().strip()
        self.address, self.token = self.line.removeprefix("review at ").split("/?token=")

    def ask(self, address: str, body: object = None) -> Request:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"}
        return Request(self.address + address, data, headers)

    def answer(self, address: str, body: object = None) -> dict:
        with urlopen(self.ask(address, body), timeout=20) as response:
            return json.load(response)

    def settled(self) -> dict:
        """The state when no refit is due."""
        while (state := self.answer("/api/state"))["refitting"]:
            time.sleep(0.05)
        return state

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(10)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def server(run_folder: Path, port: int) -> Iterator[Server]:
    server = Server(run_folder, port)
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


def events(stream) -> Iterator[dict]:
    for line in stream:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def test_events_come_within_a_second_and_ctrl_c_ends_at_once(
    server: Server, run_folder: Path
) -> None:
    server.answer("/api/state")
    with urlopen(server.ask("/api/events"), timeout=10) as stream:
        seen = events(stream)
        assert next(seen)["version"] == 1
        for change in (
            lambda: server.answer("/api/actions", {"action": "edit", "class": 1, "name": "dent"}),
            lambda: read_run(run_folder).labels.edit(2, name="crack"),
        ):
            version = server.answer("/api/state")["version"]
            change()
            done = time.monotonic()
            assert next(one for one in seen if one["version"] > version)["changed"]
            assert time.monotonic() - done < 1
        before = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        list(seen)
        assert time.monotonic() - before < 3
    assert server.process.wait(60) == 0
    names = read_run(run_folder).class_names
    assert (names[1], names[2]) == ("dent", "crack")


def test_killed_server_has_lost_nothing_and_its_link_stays(
    server: Server, run_folder: Path, port: int
) -> None:
    server.answer("/api/actions", {"action": "edit", "class": 1, "name": "dent"})
    server.answer("/api/actions", {"action": "move", "regions": [1, 2], "class": 1})
    before = server.settled()
    server.end(signal.SIGKILL)
    again = Server(run_folder, port)
    try:
        assert again.line == server.line
        after = again.settled()
        for name in ("version", "classes", "undoable"):
            assert after[name] == before[name]
        again.answer("/api/actions", {"action": "undo"})
        assert again.answer("/api/regions/1")["said"] is None
    finally:
        again.end(signal.SIGTERM)


def test_a_stranger_on_this_machine_gets_nothing(server: Server) -> None:
    server.answer("/api/state")
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{server.address}/api/state", timeout=10)
    assert refused.value.code == 403


def test_token_is_private_and_another_one_where_it_was_not(run_folder: Path) -> None:
    store = FileStore(read_run(run_folder))
    token = review_token(store)
    path = store.folder / "token.txt"
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert review_token(store) == token
    path.chmod(0o644)
    assert review_token(store) != token
    assert review_token(FileStore(read_run(run_folder))) != token


def test_wrong_arguments_end_in_one_line(run_folder: Path, tmp_path: Path, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        result = call("review", run_folder, "--port", port)
        assert result.exit_code == 2
        assert f"port {port} cannot be used" in result.stderr
    assert call("review", tmp_path).exit_code == 2
    assert call("review", run_folder, "--images", tmp_path / "none").exit_code == 2


def test_missing_extra_is_named(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "anomalyncd.review.serving", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = call("review", run_folder)
    assert result.exit_code == 2
    assert "pip install 'anomalyncd[review]'" in result.stderr
