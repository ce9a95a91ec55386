"""Precision: by name, and by what the device is faster in."""

import time
from collections.abc import Iterator

import pytest
import torch

from anomalyncd.errors import InputError
from anomalyncd.runtime.device import _faster_in_bfloat16, resolve_precision

CPU = torch.device("cpu")


def test_precisions_by_name() -> None:
    assert resolve_precision("bf16", CPU) is torch.bfloat16
    assert resolve_precision("fp32", CPU) is torch.float32
    with pytest.raises(InputError, match="auto or bf16 or fp32"):
        resolve_precision("fp8", CPU)


@pytest.fixture
def afresh() -> Iterator[None]:
    """Nothing is known of the processor before, and nothing afterwards."""
    _faster_in_bfloat16.cache_clear()
    yield
    _faster_in_bfloat16.cache_clear()


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize("slow", [torch.bfloat16, torch.float32])
def test_auto_takes_the_faster_one(monkeypatch: pytest.MonkeyPatch, slow: torch.dtype) -> None:
    def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        time.sleep(0.1 if left.dtype is slow else 0)
        return left[:, :1]

    monkeypatch.setattr(torch.Tensor, "__matmul__", matmul)
    expected = torch.float32 if slow is torch.bfloat16 else torch.bfloat16
    assert resolve_precision("auto", CPU) is expected


@pytest.mark.usefixtures("afresh")
def test_auto_avoids_what_the_device_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if left.dtype is torch.bfloat16:
            raise TypeError("BFloat16 is not supported")
        return left[:, :1]

    monkeypatch.setattr(torch.Tensor, "__matmul__", matmul)
    assert resolve_precision("auto", CPU) is torch.float32
