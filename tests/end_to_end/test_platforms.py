"""Whole runs and commands on Windows and macOS, as far as they can be tested elsewhere."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd.config import PRESETS
from anomalyncd.embedding.region_store import RegionStore, fill_store
from anomalyncd.errors import InputError
from anomalyncd.estimator import AnomalyNCD
from anomalyncd.workflows import discover_run, prepare_prediction, write_prediction
from support.quick import QUICK, picture

MAIN = (
    "import sys; from anomalyncd.cli.main import main; sys.argv = ['anomalyncd', *sys.argv[1:]]; "
    "main()"
)


def test_tokens_in_a_file_are_released_before_it_is_deleted(
    tiny: Path, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not delete a file that is mapped into memory."""
    crops = replace(QUICK.crops, memory_limit_gb=0)
    monkeypatch.setitem(PRESETS, "default", replace(QUICK, crops=crops))
    mapped = Path("/proc/self/maps")
    if not mapped.is_file():
        pytest.skip("needs a list of what is mapped")
    maps_of_stages: list[str] = []

    def filled(*arguments: object) -> RegionStore:
        result = fill_store(*arguments)  # type: ignore[arg-type]
        maps_of_stages.append(mapped.read_text(encoding="utf-8"))
        return result

    monkeypatch.setattr("anomalyncd.pipeline.fill_store", filled)
    model = AnomalyNCD(3, backbone="tiny", weights=tiny)
    discover_run(model, images_folder, tmp_path / "run")
    predictions = model.classify(images_folder, folder=tmp_path / "new")
    write_prediction(predictions, tmp_path / "new")
    assert len(maps_of_stages) == 2
    assert all("tokens.bin" in text for text in maps_of_stages)
    assert "tokens.bin" not in mapped.read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("tokens.bin"))


def test_a_table_that_a_spreadsheet_locks_is_reported_before_the_work(
    images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images.csv").write_text("x", encoding="utf-8")
    prepare_prediction(tmp_path, images_folder)
    opened = Path.open

    def locked(path: Path, mode: str = "r", *more: object) -> object:
        if mode == "r+b":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, mode, *more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(InputError, match=r"images\.csv.*close the program"):
        prepare_prediction(tmp_path, images_folder)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_of_any_script_are_printed_to_any_pipe(
    tiny_weights: Path, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "部品\u202f…").mkdir()
    Image.fromarray(picture("spot", 1)).save(tmp_path / "部品\u202f…" / "→.png")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    for line, code in ((["data", "check", str(tmp_path)], 0), (["evaluate", "部品→"], 2)):
        words = [sys.executable, "-c", MAIN, *line]
        done = subprocess.run(words, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


def test_libraries_print_nothing_about_a_damaged_file(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).random((64, 64))
    Image.fromarray(scores.astype(np.float32)).save(tmp_path / "a.tif", compression="tiff_deflate")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[3000:3100] = bytes(100)
    (tmp_path / "a.tif").write_bytes(content)
    words = [sys.executable, "-c", MAIN, "data", "check", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr


def test_the_random_state_of_torch_is_unchanged(tiny: Path, images_folder: Path) -> None:
    before = torch.get_rng_state()
    AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images_folder)
    assert torch.equal(torch.get_rng_state(), before)
