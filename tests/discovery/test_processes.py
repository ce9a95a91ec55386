"""Training in several processes: it gives what one process gives, and fails in one sentence."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from anomalyncd.config import TrainingConfig
from anomalyncd.discovery import processes
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.processes import train_in_processes
from anomalyncd.discovery.share import ALONE, Share
from anomalyncd.discovery.training import Objective, Samples, train
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.region_store import fill_token_store
from anomalyncd.errors import InputError
from support.full_disk import no_room
from support.quick import crops, run_context

# Nine regions in batches of four leave shares of different sizes to two processes.
TRAINING = TrainingConfig(
    n_heads=2,
    epochs=3,
    batch_size=4,
    learning_rate=0.05,
    hard_share=0.5,
    separation_weight=0.3,
    entropy_prior="start",
)
PRIOR = torch.tensor([[0.1, 0.1, 0.4, 0.2, 0.2]] * 2)


def _samples(encoder: RegionEncoder, folder: Path, targets: torch.Tensor) -> Samples:
    count = len(targets)
    return Samples(fill_token_store(run_context(encoder, folder), crops(count), count), targets)


def _model(encoder: RegionEncoder) -> RegionClassifier:
    torch.manual_seed(0)
    return RegionClassifier(encoder, 5, TRAINING.n_heads)


def _fabric(rank: int, count: int) -> SimpleNamespace:
    return SimpleNamespace(global_rank=rank, world_size=count)


@pytest.mark.parametrize(("n_views", "count"), [(8, 2), (9, 2), (2, 3), (7, 4)])
def test_shares_are_the_batch_in_its_order(n_views: int, count: int) -> None:
    views = torch.arange(n_views)
    shares = [Share(_fabric(rank, count)).of(views) for rank in range(count)]
    assert len({len(share) for share in shares}) == 1
    assert torch.cat(shares)[:n_views].tolist() == views.tolist()
    assert (
        torch.cat(shares)[n_views:].tolist() == views.tolist()[: count * len(shares[0]) - n_views]
    )
    assert ALONE.of(views) is views


def test_two_processes_train_as_one(encoder: RegionEncoder, tmp_path: Path) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 9))
    base = _samples(encoder, tmp_path, torch.tensor([0, 1] * 3))
    objective = Objective(TRAINING, 2, PRIOR)
    model = _model(encoder)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loss = train(model, novel, base, objective, seed=5)
    alone = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(start)
    context = replace(run_context(encoder, tmp_path, seed=5), devices=2)
    (tmp_path / ".training-of-a-killed-run").mkdir()
    together = train_in_processes(model, novel, base, objective, context)
    torch.testing.assert_close(together, loss, rtol=0, atol=1e-4)
    changed = 0
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, alone[name], rtol=0, atol=1e-4)
        changed += bool((tensor - start[name]).abs().max() > 1e-3)
    assert changed > 10  # The read-out block and the heads have moved much farther than 1e-4.
    assert not model.training
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".training")]


def test_full_memory_is_told_in_one_sentence(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 4))
    context = replace(run_context(encoder, tmp_path), devices=2)
    code = (
        "import sys, torch\n"
        "from anomalyncd.discovery import processes\n"
        "def full(*_): raise torch.OutOfMemoryError('tried to allocate 2 GiB')\n"
        "processes._train_share = full\n"
        "processes.work(sys.argv[1])"
    )
    monkeypatch.setattr(processes, "_CODE", code)
    with pytest.raises(InputError, match=r"full in the stage discovery; lower `training.batch_si"):
        train_in_processes(_model(encoder), novel, None, Objective(TRAINING), context)
    monkeypatch.setattr(processes, "_CODE", code.replace("torch.OutOfMemoryError", "KeyError"))
    with pytest.raises(RuntimeError, match=r"ended with code 1\n(?s:.*)KeyError: 'tried"):
        train_in_processes(_model(encoder), novel, None, Objective(TRAINING), context)


def test_full_disk_names_the_file(encoder: RegionEncoder, tmp_path: Path) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 4))
    context = replace(run_context(encoder, tmp_path), devices=2)
    with pytest.raises(InputError, match=r"job\.pt"), no_room():
        train_in_processes(_model(encoder), novel, None, Objective(TRAINING), context)
    assert not list(tmp_path.glob(".training-*"))


def test_a_process_that_dies_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        processes,
        "_CODE",
        "import os, time; os.environ['RANK'] == '1' and os._exit(7); time.sleep(300)",
    )
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    with pytest.raises(RuntimeError, match="ended with code 7"):
        processes._run_processes(tmp_path, 2)
    assert [process.poll() is None for process in started] == [False, False]


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from anomalyncd.discovery import processes\n"
        "processes._train_share = lambda _: (print('here', flush=True), time.sleep(300))\n"
        f"processes.work({str(tmp_path)!r})"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    environment = processes._environments(1)[0]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 1


def test_processes_find_what_this_one_imports() -> None:
    first, second = processes._environments(2)
    assert set(sys.path) <= set(first["PYTHONPATH"].split(":" if sys.platform != "win32" else ";"))
    assert (first["RANK"], second["RANK"]) == ("0", "1")
    assert first["MASTER_PORT"] == second["MASTER_PORT"]
