"""Precision: by name, and by what the device is faster in."""

import time
from typing import Any

import pytest
import torch

from anomalyncd.errors import InputError
from anomalyncd.runtime import _faster_in_bfloat16, resolve_precision

CPU = torch.device("cpu")


def test_precisions_by_name() -> None:
    assert resolve_precision("bf16", CPU) is torch.bfloat16
    assert resolve_precision("fp32", CPU) is torch.float32
    with pytest.raises(InputError, match="auto or bf16 or fp32"):
        resolve_precision("fp8", CPU)


@pytest.mark.parametrize("slow", [torch.bfloat16, torch.float32])
def test_auto_takes_the_faster_one(monkeypatch: pytest.MonkeyPatch, slow: torch.dtype) -> None:
    product = torch.Tensor.__matmul__

    def matmul(left: torch.Tensor, right: torch.Tensor) -> Any:
        time.sleep(0.2 if left.dtype is slow else 0)
        return product(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", matmul)
    _faster_in_bfloat16.cache_clear()
    try:
        expected = torch.float32 if slow is torch.bfloat16 else torch.bfloat16
        assert resolve_precision("auto", CPU) is expected
    finally:
        _faster_in_bfloat16.cache_clear()
