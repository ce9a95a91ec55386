"""Device, threads, precision and seed of a run."""

import os
from numbers import Integral

import joblib
import torch

from anomalyncd.errors import InputError
from anomalyncd.runtime.wording import counted

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
        precision: One of `PRECISIONS`; "auto" is bfloat16 where the device has instructions for it.
        device: The device of the blocks.

    Raises:
        InputError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    if precision == "fp32" or (precision == "auto" and not _computes_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


def _computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16.

    What the device can do decides, and no measurement, so that a busy machine has the same results
    as an idle one. Processors without such instructions imitate them, up to fifty times slower.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Torch has no public name for this in all releases that are supported.
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def check_devices(devices: int, device: torch.device) -> None:
    """Checks that there are as many devices of a kind, or processors, as are asked for.

    Raises:
        InputError: There are fewer, or it is no number of devices.
    """
    if not isinstance(devices, Integral) or isinstance(devices, bool) or devices < 1:
        raise InputError(f"devices={devices!r} cannot be used; give 1 or more")
    on_cpu = device.type == "cpu"
    available = joblib.cpu_count() if on_cpu else torch.accelerator.device_count()
    if devices > available:
        what = "processor" if on_cpu else f"{device.type} device"
        raise InputError(
            f"devices={devices} cannot be used, since this machine has only "
            f"{counted(available, what)}; give at most {available}"
        )


def use_free_processors() -> None:
    """Lets torch use no more threads than there are processors for this process.

    Torch counts those of the machine; a container may have the time of fewer. A number of threads
    that the user has set with `OMP_NUM_THREADS` is left as it is.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), joblib.cpu_count()))


def check_seed(seed: int) -> None:
    """Checks that numpy, torch and scikit-learn accept a seed.

    Raises:
        InputError: The seed is negative or too large.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed} cannot be used; give a whole number from 0 to {2**32 - 1}")
