"""Precision by name and by what the device can do, and threads by the processors that are free."""

import os
import subprocess
import sys

import joblib
import pytest
import torch

from anomalyncd.errors import InputError
from anomalyncd.runtime.device import check_devices, resolve_precision, use_free_processors

CPU = torch.device("cpu")


def test_precisions_by_name() -> None:
    assert resolve_precision("bf16", CPU) is torch.bfloat16
    assert resolve_precision("fp32", CPU) is torch.float32
    with pytest.raises(InputError, match="auto or bf16 or fp32"):
        resolve_precision("fp8", CPU)


@pytest.mark.parametrize(("able", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_asks_what_the_processor_can_do(
    monkeypatch: pytest.MonkeyPatch, able: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    assert resolve_precision("auto", CPU) is expected
    assert resolve_precision("auto", torch.device("meta")) is torch.float32


@pytest.mark.parametrize(("given", "expected"), [(None, 1), ("2", 2)])
def test_threads_follow_the_processors_that_are_free(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: int
) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    try:
        torch.set_num_threads(2)
        use_free_processors()
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_let_others_work(given: str | None, expected: str) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    code = "import anomalyncd, os; print(os.environ['OMP_WAIT_POLICY'])"
    run = [sys.executable, "-c", code]
    printed = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == expected


@pytest.mark.parametrize("devices", [0, -1, True, 1.5, "2"])
def test_number_of_devices_is_a_number(devices: object) -> None:
    with pytest.raises(InputError, match="give 1 or more"):
        check_devices(devices, CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "message"),
    [("cpu", "only 2 processors; give at most 2"), ("meta", "only 1 meta device; give at most 1")],
)
def test_no_more_devices_than_there_are(
    monkeypatch: pytest.MonkeyPatch, device: str, message: str
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    check_devices(1, torch.device(device))
    with pytest.raises(InputError, match=f"devices=3 cannot be used.* {message}"):
        check_devices(3, torch.device(device))
