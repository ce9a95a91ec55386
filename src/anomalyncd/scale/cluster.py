"""The cluster of Ray that does the work: one that runs, or one on this machine alone."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import torch

from anomalyncd.errors import InputError

Resources = dict[str, Any]
"""What a worker or a task asks of Ray: `num_cpus`, `num_gpus`."""

NO_PROCESSOR: Resources = {"num_cpus": 0}
"""For tasks that write a little: they run beside the workers, which hold all processors."""


@contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """Connects to a cluster of Ray; where this process is connected already, that one is used.

    Args:
        address: Of the cluster, "auto" or "ray://HOST:10001"; None starts one of worker processes
            on this machine, which ends with the context.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """
    ray = import_ray()
    context = ray.data.DataContext.get_current()
    context.raise_original_map_exception = True
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Else Ray reports its use to its makers.
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"no cluster of Ray answers at '{address}' ({reason}); start it with 'ray start', or "
            "leave out `address`"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """Returns the module `ray` with `ray.data`.

    Raises:
        InputError: It is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            "the engine 'ray' needs Ray Data; install 'anomalyncd[ray]', or leave out `engine`"
        ) from error
    return ray


def workers(device: str) -> tuple[int, Resources]:
    """Returns how many workers the cluster has room for, and what each of them asks for.

    Args:
        device: On which workers compute: "cpu", or another name, by which each takes a GPU of the
            cluster if it has some. Without one, a worker is one processor.
    """
    has = import_ray().cluster_resources()
    if device != "cpu" and has.get("GPU", 0) >= 1:
        return int(has["GPU"]), {"num_cpus": 1, "num_gpus": 1}
    return max(1, int(has.get("CPU", 1))), {"num_cpus": 1}


def use_one_thread() -> None:
    """Makes a worker use one thread: as many as processors would be in each other's way."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def original(error: BaseException) -> BaseException:
    """Returns the `InputError` that a worker raised, or the error itself if it raised none."""
    if not isinstance(error, InputError):
        return error
    # Ray's own error, of both kinds, holds that of the worker, and adds advice to its text.
    return InputError(getattr(error, "cause", error).message)
