"""Which errors say that the memory of a device is full."""

import pytest
import torch

from anomalyncd.errors import InputError
from anomalyncd.runtime.device_memory import is_out_of_memory, refuse_full_memory


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_full_memory_is_recognised(error: Exception, full: bool) -> None:
    assert is_out_of_memory(error) is full
    with pytest.raises(InputError if full else type(error)) as raised, refuse_full_memory("maps"):
        raise error
    assert (raised.value.__cause__ is error) is full
