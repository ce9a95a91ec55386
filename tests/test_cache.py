"""What is kept between runs."""

import os
from pathlib import Path

import pytest

from anomalyncd.cache import cache_entries, clear_cache, forget_oldest


def test_only_our_own_folders_are_counted_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOMALYNCD_CACHE", str(tmp_path))
    assert [entry.n_bytes for entry in cache_entries()] == [0, 0]
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a").write_bytes(b"12345")
    (tmp_path / "photographs").write_bytes(b"mine")
    assert sum(entry.n_bytes for entry in cache_entries()) == 5
    assert clear_cache() == 5
    assert [path.name for path in tmp_path.iterdir()] == ["photographs"]


def test_files_used_longest_ago_go_first(tmp_path: Path) -> None:
    for age, name in enumerate("abc"):
        (tmp_path / name).write_bytes(b"0123456789")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    forget_oldest(tmp_path, 15, keep=tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
