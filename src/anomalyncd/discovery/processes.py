"""Training on several devices: one process each, started for the training alone.

The processes are new ones that import this module; nothing is forked, and neither a notebook nor a
script without a main guard is run again. They get their job from a file, which all of them map, so
tokens take memory once.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import torch
from torch import Tensor

from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.share import Share
from anomalyncd.discovery.training import Objective, Samples, train
from anomalyncd.embedding.context import RunContext
from anomalyncd.errors import InputError
from anomalyncd.io.writing import writing
from anomalyncd.runtime.device_memory import refuse_full_memory
from anomalyncd.runtime.logs import LOG

_PREFIX = ".training-"
_JOB, _RESULT = "job.pt", "result.pt"
_REFUSED, _FAILED = "refused.txt", "failed.txt"
_CODE = "import sys; from anomalyncd.discovery.processes import work; work(sys.argv[1])"
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class _Job:
    """What each process gets."""

    model: RegionClassifier
    novel: Samples
    base: Samples | None
    objective: Objective
    seed: int
    devices: int
    kind: str
    """The type of their devices, as torch names it."""


def train_in_processes(
    model: RegionClassifier,
    novel: Samples,
    base: Samples | None,
    objective: Objective,
    context: RunContext,
) -> Tensor:
    """Trains as `train` does, on `context.devices` devices of the kind that the model is on.

    The result is that of one process but for rounding, see `Share`.

    Args:
        model: As for `train`; it is changed in place.
        novel: As for `train`.
        base: As for `train`.
        objective: As for `train`.
        context: The seed, the number of devices, and the folder in which the processes get their
            job; it takes as much of the disk as the tokens take of the memory.

    Returns:
        As `train`.

    Raises:
        InputError: The memory of a device or the disk is full.
        RuntimeError: A process ended before its time.
    """
    kind = model.prototypes.prototypes.device.type
    job = _Job(model, novel, base, objective, context.seed, context.devices, kind)
    LOG.info("training in %d processes", context.devices)
    parent = context.folder
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
        for left_over in parent.glob(f"{_PREFIX}*"):  # Of a run whose process was killed.
            shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        # A full disk is an OSError only where the file is opened here.
        with writing(folder / _JOB), (folder / _JOB).open("wb") as file:
            torch.save(job, file)
        _run_processes(folder, context.devices)
        loss, trained = torch.load(folder / _RESULT, weights_only=True)
    model.load_state_dict(trained, strict=False)
    model.requires_grad_(False).eval()
    return torch.as_tensor(loss)


def work(folder: str) -> None:
    """Trains in one of the processes, which the environment numbers; the first one writes the
    result.

    Args:
        folder: Holds the job.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with refuse_full_memory("discovery"):
            _train_share(Path(folder))
    except InputError as error:
        (Path(folder) / _REFUSED).write_text(str(error), encoding="utf-8")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        with (Path(folder) / _FAILED).open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        sys.exit(1)


def _train_share(folder: Path) -> None:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r".*all_gather is deprecated")  # It is Fabric's own call.
    # The file is our own, and lies in a folder that no other user can write into.
    job = torch.load(folder / _JOB, weights_only=False, mmap=True, map_location="cpu")
    fabric = Fabric(
        accelerator=job.kind,
        devices=job.devices,
        strategy="ddp",
        plugins=[LightningEnvironment()],
    )
    fabric.launch()
    model = job.model.to(fabric.device)
    objective, share = job.objective, Share(fabric)
    if objective.prior is not None:
        objective = replace(objective, prior=objective.prior.to(fabric.device))
    novel = replace(job.novel, share=share)
    base = replace(job.base, share=share) if job.base else None
    loss = train(model, novel, base, objective, job.seed)
    if fabric.is_global_zero:
        trained = {
            name: one.detach().cpu() for name, one in model.named_parameters() if one.requires_grad
        }
        torch.save((loss, trained), folder / _RESULT)
    fabric.barrier()


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, however that ended."""
    os.read(0, 1)
    os._exit(1)


def _run_processes(folder: Path, count: int) -> None:
    """Runs all processes to their end; if one fails, the others are ended too."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for rank, environment in enumerate(_environments(count)):
            errors = None if rank == 0 else subprocess.DEVNULL  # One progress bar is enough.
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", _CODE, str(folder)],
                    env=environment,
                    stdin=subprocess.PIPE,  # Nothing is written; it closes when this process ends.
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
            )
        while any(process.poll() is None for process in processes):
            if any(process.poll() for process in processes):
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        codes = [process.poll() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    if any(codes):
        _raise_failure(folder, next(code for code in codes if code))


def _environments(count: int) -> list[dict[str, str]]:
    """The variables of each process: its number, and where the first one listens."""
    from lightning_fabric.plugins.environments.lightning import find_free_network_port

    threads = str(max(1, joblib.cpu_count() // count))
    shared = {"OMP_NUM_THREADS": threads} | os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    shared |= {"NODE_RANK": "0", "GROUP_RANK": "0", "WORLD_SIZE": str(count)}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _raise_failure(folder: Path, code: int) -> None:
    with suppress(FileNotFoundError):
        raise InputError((folder / _REFUSED).read_text(encoding="utf-8"))
    told = ""
    with suppress(FileNotFoundError):
        told = (folder / _FAILED).read_text(encoding="utf-8").strip()
    raise RuntimeError(f"a process of the training ended with code {code}\n{told}".strip())
