"""What can be known of Windows and macOS without them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.config import PRESETS
from anomalyncd.embedding import token_store as trunk_cache
from anomalyncd.inputs.boxes import read_boxes
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io import cache as cache_module
from anomalyncd.io.files import refuse_unwritable_names
from anomalyncd.workflows import (
    discover_run,
    prepare_prediction,
    write_prediction,
)
from support.quick import QUICK, picture

MODULE = (
    "import sys; from anomalyncd.cli.main import main; sys.argv = ['anomalyncd', *sys.argv[1:]]; "
)


@pytest.mark.parametrize(
    "name",
    ["con", "a/NUL", "lpt1.old/3", "a:b", "a\\b", "..\\up", "C:/x", "what?", "lot./1", "lot /1"],
)
def test_names_that_windows_refuses(name: str) -> None:
    with pytest.raises(InputError, match="rename it"):
        refuse_unwritable_names([name], "win32")
    refuse_unwritable_names([name], "linux")


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_names_that_differ_in_case_alone(system: str) -> None:
    with pytest.raises(InputError, match="'A/x' and 'a/X' differ in case alone"):
        refuse_unwritable_names(["A/x", "b", "a/X"], system)
    refuse_unwritable_names(["A/x", "a/y", "console", "a.b/c.d", "Würfel 1"], system)


def test_inputs_are_checked_for_their_names(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = ImageSet.from_list([picture("spot", 1), picture("line", 2)], names=["A", "a"])

    def as_on_a_mac(names: tuple[str, ...]) -> None:
        refuse_unwritable_names(names, "darwin")

    monkeypatch.setattr("anomalyncd.inputs.inputs.refuse_unwritable_names", as_on_a_mac)
    with pytest.raises(InputError, match="case alone"):
        AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images)


def test_suffixes_in_capitals_and_composed_letters_are_found(tmp_path: Path) -> None:
    Image.fromarray(picture("spot", 1)).save(tmp_path / "PART.JPG", "JPEG")
    Image.fromarray(picture("spot", 2)).save(tmp_path / "u\u0308ber\u202f1.PNG", "PNG")
    assert ImageSet.from_folder(tmp_path).names == ("PART", "\u00fcber\u202f1")


def test_boxes_find_their_image_whatever_the_case_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture("spot", 1)).save(tmp_path / "Image.png")
    monkeypatch.setattr("anomalyncd.inputs.boxes.os.path.normcase", str.lower)
    table = f"image,left,top,right,bottom\n{str(tmp_path).upper()}/PART.png,1,2,3,4\n"
    (tmp_path / "boxes.csv").write_text(table, encoding="utf-8")
    assert list(read_boxes(tmp_path / "boxes.csv", ImageSet.from_folder(tmp_path))) == ["Image"]


def test_tokens_in_a_file_are_let_go_before_it_is_deleted(
    tiny: Path, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows deletes no file that is mapped."""
    from dataclasses import replace

    views = replace(QUICK.crops, memory_limit_gb=0)
    monkeypatch.setitem(PRESETS, "default", replace(QUICK, crops=views))
    mapped = Path("/proc/self/maps")
    if not mapped.is_file():
        pytest.skip("needs a list of what is mapped")
    seen: list[str] = []
    fill = trunk_cache.fill_token_store

    def filled(*arguments: object) -> trunk_cache.TokenStore:
        result = fill(*arguments)  # type: ignore[arg-type]
        seen.append(mapped.read_text(encoding="utf-8"))
        return result

    monkeypatch.setattr("anomalyncd.pipeline.fill_token_store", filled)
    model = AnomalyNCD(3, backbone="tiny", weights=tiny)
    discover_run(model, images_folder, tmp_path / "run")
    found = model.classify(images_folder, folder=tmp_path / "new")
    write_prediction(found, tmp_path / "new")
    assert len(seen) == 2
    assert all("tokens.bin" in one for one in seen)
    assert "tokens.bin" not in mapped.read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("tokens.bin"))


def test_a_table_that_a_spreadsheet_holds_is_told_before_the_work(
    images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images.csv").write_text("x", encoding="utf-8")
    prepare_prediction(tmp_path, images_folder)
    opened = Path.open

    def held(path: Path, mode: str = "r", *more: object) -> object:
        if mode == "r+b":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, mode, *more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", held)
    with pytest.raises(InputError, match=r"images\.csv.*close the program"):
        prepare_prediction(tmp_path, images_folder)


def test_a_cached_file_that_another_run_reads_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_bytes(b"x" * 9)

    def held(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", held)
    cache_module.forget_oldest(tmp_path, 9, tmp_path / "new")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_of_any_script_are_printed_to_any_pipe(
    tiny_weights: Path, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "部品\u202f…").mkdir()
    Image.fromarray(picture("spot", 1)).save(tmp_path / "部品\u202f…" / "→.png")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    for line, code in ((["data", "check", str(tmp_path)], 0), (["evaluate", "部品→"], 2)):
        words = [sys.executable, "-c", MODULE + "main()", *line]
        done = subprocess.run(words, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


def test_libraries_keep_quiet_about_a_damaged_file(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).random((64, 64))
    Image.fromarray(scores.astype(np.float32)).save(tmp_path / "a.tif", compression="tiff_deflate")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[3000:3100] = bytes(100)
    (tmp_path / "a.tif").write_bytes(content)
    words = [sys.executable, "-c", MODULE + "main()", "data", "check", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr


def test_no_random_state_is_left_behind(tiny: Path, images_folder: Path) -> None:
    before = torch.get_rng_state()
    AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images_folder)
    assert torch.equal(torch.get_rng_state(), before)
