"""Device, precision and seed."""

import time
from functools import cache

import torch
from lightning_fabric import Fabric

from anomalyncd.errors import InputError

PRECISIONS = ("auto", "bf16", "fp32")
"""In which the frozen blocks run; what is trained is always float32."""


def resolve_device(device: str) -> torch.device:
    """The device of a name such as "auto", "cpu", "gpu" or "mps", by lightning-fabric."""
    try:
        resolved: torch.device = Fabric(accelerator=device, devices=1).device
    except Exception as error:
        raise InputError(f"device {device!r} cannot be used ({error}); use auto or cpu") from error
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The precision of the frozen blocks by its name.

    Args:
        precision: One of `PRECISIONS`; `auto` is bfloat16 where the device is faster in it.
        device: Where the blocks run.

    Raises:
        InputError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is not known; use {' or '.join(PRECISIONS)}")
    if precision == "fp32" or (precision == "auto" and not _faster_in_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


@cache
def _faster_in_bfloat16(device: torch.device) -> bool:
    """Whether products of matrices are clearly faster in bfloat16 than in float32.

    It is measured, for 0.2 s or a little more: processors without instructions for bfloat16 imitate
    it, up to fifty times slower, and which do is not to be learnt from torch on every system. A
    device that refuses it is not faster in it.
    """

    def seconds(dtype: torch.dtype) -> float:
        tokens, weight = (torch.ones(rows, 384, device=device, dtype=dtype) for rows in (128, 384))
        start = time.perf_counter()
        float((tokens @ weight)[0, 0])  # waits for the device
        return time.perf_counter() - start

    # By turns and over many, so that other work on the machine does not hit one of them alone.
    types = (torch.bfloat16, torch.float32)
    timed: list[list[float]] = []
    end = time.perf_counter() + 0.2
    try:
        while len(timed) < 4 or time.perf_counter() < end:
            timed.append([seconds(dtype) for dtype in types])
        # The first round prepares.
        bfloat16, float32 = (min(each) for each in zip(*timed[1:], strict=True))
        return bool(1.5 * bfloat16 < float32)
    except (RuntimeError, TypeError):
        return False


def check_seed(seed: int) -> None:
    """Raises unless numpy, torch and scikit-learn can all be seeded with a number.

    Raises:
        InputError: It is negative or too large.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed} cannot be used; give a whole number from 0 to {2**32 - 1}")
