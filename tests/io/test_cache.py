"""What is kept between runs."""

import logging
import os
import shutil
from pathlib import Path

import pytest
import torch

from anomalyncd.errors import InputError
from anomalyncd.io.cache import (
    LIMIT_VARIABLE,
    TensorStore,
    cache_entries,
    cache_limit,
    clear_cache,
    delete_oldest,
)

KILOBYTE = {"a": torch.arange(256, dtype=torch.float32)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty and without a limit of its own."""
    monkeypatch.setenv("ANOMALYNCD_CACHE", str(tmp_path))
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    return tmp_path


def test_only_our_own_folders_are_counted_and_cleared(cache: Path) -> None:
    assert [entry.n_bytes for entry in cache_entries()] == [0, 0, 0, 0]
    for name in ("weights", "base", "tokens", "pictures"):
        (cache / name).mkdir()
        (cache / name / "a").write_bytes(b"12345")
    (cache / "photographs").write_bytes(b"mine")
    assert [(entry.n_files, entry.n_bytes) for entry in cache_entries()] == [(1, 5)] * 4
    assert clear_cache() == 20
    assert [path.name for path in cache.iterdir()] == ["photographs"]


def test_files_used_longest_ago_go_first(tmp_path: Path) -> None:
    for age, name in enumerate("abc"):
        (tmp_path / name).write_bytes(b"0123456789")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    delete_oldest(tmp_path, 15, keep=tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_what_is_saved_is_loaded_unchanged(cache: Path) -> None:
    tensors = {"a": torch.randn(3, 4).bfloat16(), "b": torch.tensor([7, 8])}
    assert TensorStore("x").load("key") is None
    TensorStore("x").save("key", tensors)
    loaded = TensorStore("x").load("key")
    assert loaded is not None
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [path.name for path in (cache / "x").iterdir()] == ["key.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="has no such permissions")
def test_a_single_bit_that_changed_is_noticed(cache: Path) -> None:
    store = TensorStore("tokens")
    tensors = {"a": torch.arange(6, dtype=torch.bfloat16).view(2, 3), "b": torch.zeros(2)}
    store.save("key", tensors)
    (path,) = (cache / "tokens").glob("*.safetensors")
    content = path.read_bytes()
    unnoticed = []
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        found = store.load("key")
        if found is not None and not all(
            torch.equal(found[name], tensor) for name, tensor in tensors.items()
        ):
            unnoticed.append(at)
    assert not unnoticed


def test_others_may_read_what_the_user_lets_them(cache: Path) -> None:
    TensorStore("x").save("key", KILOBYTE)
    (cache / "usual").touch()
    (path,) = (cache / "x").iterdir()
    assert path.stat().st_mode == (cache / "usual").stat().st_mode


def test_limit_is_kept_to_and_what_was_used_lately_stays(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, str(5.5e-6))  # five files
    store = TensorStore("x")
    for index in range(5):
        store.save(str(index), KILOBYTE)
        path = cache / "x" / f"{index}.safetensors"
        os.utime(path, (1000 + index, 1000 + index))
    assert store.load("0") is not None
    for index in range(5, 20):
        store.save(str(index), KILOBYTE)
        assert sum(path.stat().st_size for path in (cache / "x").iterdir()) <= 5.5e3
        assert store.load(str(index)) is not None
        assert store.load("0") is not None
    store.save("large", {"a": torch.zeros(2000)})
    assert store.load("large") is None
    assert store.load("19") is not None


@pytest.mark.parametrize("value", ["a lot", "-1", "nan"])
def test_limit_that_is_no_number_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, value)
    with pytest.raises(InputError, match=f"ANOMALYNCD_CACHE_GB='{value}' cannot be used; give"):
        cache_limit()


def _a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_bytes(b"")


def _refuse_writing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not bind an administrator, so the refusal is imitated."""

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "touch", refused)
    monkeypatch.setattr(os, "utime", refused)


def _nearly_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**9)
    )


@pytest.mark.parametrize("obstacle", [_a_file, _refuse_writing, _nearly_full])
def test_what_cannot_be_written_is_said_once_and_ends_nothing(
    cache: Path,
    obstacle: object,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    obstacle(cache / "x", monkeypatch)  # type: ignore[operator]
    store = TensorStore("x")
    with caplog.at_level(logging.WARNING):
        for key in ("1", "2"):
            store.save(key, KILOBYTE)
            assert store.load(key) is None
    assert len(caplog.messages) == 1
    assert "nothing more is cached: " in caplog.messages[0]
    assert not (cache / "x").is_dir() or not list((cache / "x").iterdir())


def test_what_is_read_only_is_still_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TensorStore("x").save("key", KILOBYTE)
    _refuse_writing(cache / "x", monkeypatch)
    assert TensorStore("x").load("key") is not None


def test_a_cached_file_that_another_run_reads_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_bytes(b"x" * 9)

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    delete_oldest(tmp_path, 9, tmp_path / "new")
    assert len(list(tmp_path.iterdir())) == 2
