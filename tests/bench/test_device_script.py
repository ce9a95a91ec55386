"""The script that compares an accelerator with the processor, on the processor alone."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import torch

from anomalyncd.config import PRESETS
from anomalyncd.errors import InputError
from anomalyncd.io.cache import LIMIT_VARIABLE
from anomalyncd.pipeline import STAGES
from support.quick import QUICK, UNTRAINED

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "device.py"


@pytest.fixture
def script(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with presets that are quick."""
    spec = importlib.util.spec_from_file_location("device", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    still = replace(UNTRAINED, encoder=replace(UNTRAINED.encoder, n_rotations=4))
    monkeypatch.setitem(PRESETS, "default", replace(still, crops=replace(QUICK.crops, n_views=0)))
    monkeypatch.setitem(
        PRESETS, "paper", replace(QUICK, encoder=replace(QUICK.encoder, n_rotations=1))
    )
    monkeypatch.setenv(LIMIT_VARIABLE, "0")  # As the script sets it, so that it is undone.
    return module


def test_one_file_holds_every_part(
    script: ModuleType, tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "device.json"
    command = ["--images", str(images_folder), "--classes", "3", "--device", "cpu"]
    code = script.main([*command, "--backbone", "tiny", "--weights", str(tiny), "--out", str(out)])
    record = json.loads(out.read_text(encoding="utf-8"))
    assert code == 0
    assert not record["accelerator"]
    assert record["n_images"] == 12
    for side in ("device", "cpu"):
        assert {"maps", "tokens", "discovery"} <= record["stages"][side].keys() <= set(STAGES)
        assert all(one["memory_mb"] > 0 for one in record["stages"][side].values())
        assert record["training"][side]["seconds"] > 0
        assert record["prediction"][side]["seconds"] > 0
    for part in ("discovery", "prediction", "discovery_fp32", "training"):
        agreed = {"same_classes": 1.0, "score_difference": 0.0, "agree": True}
        assert record["agreement"][part] == agreed
    for part in ("discovery", "prediction"):
        assert record["images_a_second"][part]["ratio"] > 0
    assert record["torch"] == torch.__version__


def _table(classes: list[int], scores: list[float]) -> pd.DataFrame:
    names = [str(number) for number in range(len(classes))]
    return pd.DataFrame({"name": names, "class": classes, "score": scores})


def test_agreement_has_a_limit(script: ModuleType) -> None:
    first = _table([0, 1] * 50, [0.5] * 100)
    renamed = _table([1, 0] * 50, [0.515] * 100)
    assert script.agreement(first, renamed)["agree"]
    assert not script.agreement(first, _table([0, 1] * 50, [0.5] * 99 + [0.53]))["agree"]
    one_off, two_off = ([*[1] * count, *first["class"][count:]] for count in (1, 3))
    assert script.agreement(first, _table(one_off, [0.5] * 100))["agree"]
    assert script.agreement(first, _table(two_off, [0.5] * 100))["same_classes"] == 0.98
    assert not script.agreement(first, _table(two_off, [0.5] * 100))["agree"]


def test_disagreement_is_the_exit_code(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for agrees in (True, False):
        rounded, exact = {"discovery": {"agree": False}}, {"discovery_fp32": {"agree": agrees}}
        record: dict[str, object] = {"agreement": rounded | exact}
        run: Callable[[object], object] = lambda _, record=record: record  # noqa: E731
        monkeypatch.setattr(script.Comparison, "run", run)
        assert script.main(["--device", "cpu", "--out", str(tmp_path / "out.json")]) == 1 - agrees


def test_memory_is_limited_for_a_while(script: ModuleType) -> None:
    fractions: list[float] = []
    memory = script.DeviceMemory(torch.device("cpu"))
    assert "cannot limit" in memory.limited(1, lambda: "read")
    memory._module = SimpleNamespace(
        empty_cache=lambda: None,
        mem_get_info=lambda: (300, 400),
        memory_reserved=lambda: 40,
        set_per_process_memory_fraction=fractions.append,
    )

    def refused() -> str:
        raise InputError("the memory is full")

    assert memory.limited(100, lambda: "read") == "read"
    assert memory.limited(0, refused) == "refused: the memory is full"
    assert fractions == [0.35, 1.0, 0.1, 1.0]
