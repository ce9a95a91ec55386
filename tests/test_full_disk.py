"""A disk that is full at any moment: the file is named, and the same command goes on."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import Result

from anomalyncd import workflows  # noqa: F401  (its writes are to be counted)
from anomalyncd.config import PRESETS, Config
from anomalyncd.io.cache import CACHE_VARIABLE
from anomalyncd.report import report  # noqa: F401
from support.full_disk import fail_write
from support.quick import QUICK, UNTRAINED, call, picture

_TOLD_OF_TIME = {"run.json", "run.log", "report.html"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for group, kind in enumerate(("good", "line", "spot")):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for index in range(2):
            pixels = picture(kind, 10 * group + index)
            Image.fromarray(pixels).save(tmp_path / "photos" / kind / f"{index}.png")
    return tmp_path / "photos"


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run, but for those in which the time is told."""
    paths = (path for path in run.rglob("*") if path.is_file() and path.name not in _TOLD_OF_TIME)
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.usefixtures("tiny")
def test_every_write_may_fail_once(
    photos: Path, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    # Only what is trained has tokens, which can lie in a mapped file.
    config = replace(QUICK, crops=replace(QUICK.crops, memory_limit_gb=0)) if mapped else UNTRAINED
    monkeypatch.setitem(PRESETS, "default", config)

    def discover(run: Path, number: int | None) -> tuple[Result, list[Path]]:
        monkeypatch.setenv(CACHE_VARIABLE, str(run.parent / "cache"))
        with monkeypatch.context() as patch:
            written = fail_write(patch, number)
            return call("discover", photos, "--classes", 3, "--out", run, *options), written

    expected = tmp_path / "all" / "run"
    result, written = discover(expected, None)
    assert result.exit_code == 0, result.output
    names = {path.name for path in written}
    assert {"run.log", "0.npy", "regions.npz", "0.png", "classes.csv", "model", "run.json"} <= names
    assert ("tokens.bin" in names) == mapped
    # With mapped tokens, only what differs is tried again.
    tried = [i for i, path in enumerate(written) if not mapped or path.name.startswith("tokens.")]
    for number in tried:
        run = tmp_path / str(number) / "run"
        result, _ = discover(run, number)
        path = run.parent / written[number].relative_to(expected.parent)
        if path.is_relative_to(run.parent / "cache"):
            assert result.exit_code == 0, (path, result.output)
        else:
            assert result.exit_code == 2, (path, result.output)
            assert result.stderr.count("error: ") == 1, result.stderr
            assert "cannot be written (File too large); larger files" in result.stderr
            assert str(run) in result.stderr
            hidden = {path.name for path in run.rglob(".*") if path.is_file()}
            assert hidden <= {".lock"}
            if (run / "run.json").exists():
                assert f"'anomalyncd report {run}'" in result.stderr
                result = call("report", run)
            else:
                result, _ = discover(run, None)
            assert result.exit_code == 0, (path, result.output)
        assert contents(run) == contents(expected), path
        assert (run / "report.html").is_file()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this account may not mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("preset", [UNTRAINED, QUICK], ids=["means", "mapped tokens"])
@pytest.mark.usefixtures("tiny")
def test_a_run_on_a_real_disk_that_is_too_small(
    photos: Path,
    tiny_disk: Path,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    preset: Config,
) -> None:
    crops = replace(preset.crops, memory_limit_gb=0)
    monkeypatch.setitem(PRESETS, "default", replace(preset, crops=crops))
    monkeypatch.setattr("anomalyncd.cost.free_disk_gb", lambda folder: None)
    command = ("discover", photos, "--classes", 3, "--out", tiny_disk / "run", *options)
    result = call(*command)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("error: ") == 1
    assert f"'{tiny_disk / 'run'}" in result.stderr
    assert "(No space left on device); free some space" in result.stderr
    assert not (tiny_disk / "run" / "run.json").exists()
    larger = ["mount", "-o", "remount,size=20m", str(tiny_disk)]
    subprocess.run(larger, check=True)
    result = call(*command)
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("tiny")
def test_a_disk_that_is_full_from_the_start_makes_no_traceback(
    photos: Path, tiny_disk: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyncd.cost.free_disk_gb", lambda folder: None)
    (tiny_disk / "film.avi").write_bytes(bytes(80 * 1024))
    for command in (
        ("discover", photos, "--classes", 3, "--out", tiny_disk / "run", *options),
        ("maps", photos, "--out", tiny_disk / "maps", *options),
        ("data", "check", photos, "--sheet", tiny_disk / "sheet.png"),
        ("data", "prepare", "folders", photos, "--out", tiny_disk / "images.csv"),
        ("demo", "--out", tiny_disk / "demo"),
    ):
        result = call(*command)
        assert result.exit_code == 2, (command, result.output)
        assert result.stderr.count("error: ") == 1, result.stderr
        assert f"'{command[-1] if command[0] == 'data' else tiny_disk}" in result.stderr
        assert "(No space left on device)" in result.stderr


def test_weights_that_are_not_written_whole_are_not_kept(tmp_path: Path, tiny: Path) -> None:
    from anomalyncd import InputError
    from anomalyncd.io.writing import write_atomically
    from support.full_disk import no_room

    path = tmp_path / "weights.safetensors"
    with pytest.raises(InputError, match="cannot be written"), no_room(100):  # noqa: SIM117
        with write_atomically(path) as temporary:
            save_file(load_file(tiny), temporary)
    assert not list(tmp_path.glob("*.safetensors"))
