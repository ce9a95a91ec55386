"""Device, precision and seed of a run."""

import time
from functools import cache

import torch

from anomalyncd.errors import InputError

PRECISIONS = ("auto", "bf16", "fp32")
"""Names of the precisions of the frozen blocks; the trained block is always float32."""


def resolve_device(device: str) -> torch.device:
    """Returns the device for a name of lightning-fabric, such as "auto", "cpu", "gpu" or "mps".

    Raises:
        InputError: There is no such device.
    """
    if device == "cpu" or (device == "auto" and not torch.accelerator.is_available()):
        return torch.device("cpu")
    try:
        # Imported only where it has to choose, since it takes seconds.
        from lightning_fabric import Fabric

        resolved: torch.device = Fabric(accelerator=device, devices=1).device
    except Exception as error:
        raise InputError(f"device {device!r} cannot be used ({error}); use auto or cpu") from error
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Returns the type of the frozen blocks for the name of a precision.

    Args:
        precision: One of `PRECISIONS`; "auto" is bfloat16 where the device is faster with it.
        device: The device of the blocks.

    Raises:
        InputError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    if precision == "fp32" or (precision == "auto" and not _faster_in_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


@cache
def _faster_in_bfloat16(device: torch.device) -> bool:
    """Measures for about 0.2 s whether matrix products are clearly faster in bfloat16.

    Processors without instructions for bfloat16 emulate it, up to fifty times slower, and torch
    does not tell on every system which ones do. A device may also refuse bfloat16.
    """

    def seconds(dtype: torch.dtype) -> float:
        tokens, weight = (torch.ones(rows, 384, device=device, dtype=dtype) for rows in (128, 384))
        start = time.perf_counter()
        float((tokens @ weight)[0, 0])  # Reading the value waits for the device.
        return time.perf_counter() - start

    # The types alternate, so that other work on the machine affects both of them.
    types = (torch.bfloat16, torch.float32)
    rounds: list[list[float]] = []
    end = time.perf_counter() + 0.2
    try:
        while len(rounds) < 4 or time.perf_counter() < end:
            rounds.append([seconds(dtype) for dtype in types])
        # The first round is a warm-up.
        bfloat16, float32 = (min(times) for times in zip(*rounds[1:], strict=True))
        return bool(1.5 * bfloat16 < float32)
    except (RuntimeError, TypeError):
        return False


def check_seed(seed: int) -> None:
    """Checks that numpy, torch and scikit-learn accept a seed.

    Raises:
        InputError: The seed is negative or too large.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed} cannot be used; give a whole number from 0 to {2**32 - 1}")
