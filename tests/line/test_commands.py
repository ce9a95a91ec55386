"""The commands `serve` and `watch` with a model of the tiny backbone, as programs of their own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from anomalyncd.errors import InputError
from anomalyncd.line.serving import Place, model_version, read_token, serve_model
from anomalyncd.line.watch import Summary, Watch
from support.line import TOKEN, FakePredictor
from support.quick import call, succeed


@pytest.fixture
def run_folder(options: list[str], images_folder: Path, tmp_path: Path) -> Path:
    """A finished run of the tiny backbone."""
    run = tmp_path / "run"
    succeed("discover", images_folder, "--classes", 2, "--out", run, *options)
    return run


SERVE = """
import sys
from pathlib import Path
import pytest
sys.path.insert(0, sys.argv[4])
from anomalyncd.line.predictor import Predictor
from anomalyncd.line.serving import Place, serve_model
from support.quick import use_tiny
run, root, cache = (Path(argument) for argument in sys.argv[1:4])
use_tiny(pytest.MonkeyPatch(), cache)
place = Place(token=sys.argv[5], root=root)
serve_model(run, lambda: Predictor(run, device="cpu"), place, lambda link: print(link, flush=True))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no signal to reload")
def test_serve_answers_reloads_and_ends(
    run_folder: Path, images_folder: Path, tmp_path: Path
) -> None:
    tests = Path(__file__).parents[1]
    arguments = [run_folder, images_folder, tmp_path / "cache", tests, TOKEN]
    command = [sys.executable, "-c", SERVE, *map(str, arguments)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    paths = sorted(
        path.relative_to(images_folder).as_posix() for path in images_folder.rglob("*.png")
    )
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        assert client.get("/readyz").status_code == 200
        first = client.post("/v1/images:classify", json={"paths": paths[:8]}).json()["results"]
        os.kill(server.pid, signal.SIGHUP)
        again = client.post("/v1/images:classify", json={"paths": paths[:8]}).json()["results"]
        assert client.get("/v1/classes").json()["model"] == model_version(run_folder)
    server.terminate()
    assert server.wait(20) == 0
    assert [one["name"] for one in first] == paths[:8]
    assert all("verdict" in one for one in first)
    assert again == first


def test_watch_gates_by_its_exit_code(
    run_folder: Path, images_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(images_folder, folder)
    words = ("watch", folder, run_folder, "--once", "--gate", "--steady", 0.05)
    assert call(*words, "--out", tmp_path / "out").exit_code == 1
    again = call(*words, "--out", tmp_path / "out")
    assert again.exit_code == 0
    assert "images: 0 good, 0 not good, 0 broken" in again.output
    (folder / "broken.png").write_bytes(b"")
    assert call(*words, "--out", tmp_path / "out").exit_code == 2
    refused = call("watch", folder, run_folder, "--gate")
    assert refused.exit_code == 2
    assert "--once" in refused.output


def test_watch_that_was_interrupted_is_no_pass(
    images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyncd.cli.line._predictor", lambda *_: FakePredictor())
    interrupted = Summary(n_ok=1, interrupted=True)
    monkeypatch.setattr(Watch, "run", lambda *_: interrupted)
    (tmp_path / "model").mkdir()
    words = ("watch", images_folder, tmp_path / "model", "--out", tmp_path / "out", "--once")
    for command in (words, (*words, "--gate")):
        ended = call(*command)
        assert ended.exit_code == 130
        assert "interrupted; run the same command again to go on" in ended.output


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no token"):
        serve_model(tmp_path, FakePredictor, Place(host="0.0.0.0"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot be used"):
            serve_model(tmp_path, FakePredictor, Place(port=taken.getsockname()[1]))


def test_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANOMALYNCD_TOKEN", raising=False)
    assert read_token(None) is None
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN
    monkeypatch.setenv("ANOMALYNCD_TOKEN", "short")
    with pytest.raises(InputError, match="at least 16"):
        read_token(None)
    (tmp_path / "token").write_text("a token with spaces in it")
    with pytest.raises(InputError, match="at least 16"):
        read_token(tmp_path / "token")


def test_version_changes_with_the_files(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    first = model_version(tmp_path)
    assert first == model_version(tmp_path / "model")
    (tmp_path / "model" / "model.json").write_text("{ }")
    assert model_version(tmp_path) != first
