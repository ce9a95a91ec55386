"""What is kept between runs: backbones and what was read of base sets."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anomalyncd.model.weights import cache_folder

BASE = "base"
"""Folder of base sets within the cache."""
_WHAT = {"weights": "backbones", BASE: "base sets that were read"}


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache."""

    folder: Path
    what: str
    """In words."""
    n_files: int
    n_bytes: int


def cache_entries() -> list[CacheEntry]:
    """What the cache folder holds of ours, one entry a folder."""
    entries = []
    for name, what in _WHAT.items():
        folder = cache_folder() / name
        files = [path for path in folder.rglob("*") if path.is_file()]
        n_bytes = sum(path.stat().st_size for path in files)
        entries.append(CacheEntry(folder, what, len(files), n_bytes))
    return entries


def clear_cache() -> int:
    """Deletes the cache and returns how many bytes that freed; all of it can be made again."""
    before = sum(entry.n_bytes for entry in cache_entries())
    for entry in cache_entries():
        # Windows keeps what another run reads.
        shutil.rmtree(entry.folder, ignore_errors=True)
    return before - sum(entry.n_bytes for entry in cache_entries())


def forget_oldest(folder: Path, most_bytes: float, keep: Path) -> None:
    """Deletes the files used longest ago until the rest is small enough.

    Args:
        folder: Holds the files.
        most_bytes: What may stay.
        keep: A file that stays in any case.
    """
    files = sorted((p for p in folder.iterdir() if p.is_file()), key=lambda p: p.stat().st_mtime)
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= most_bytes:
            return
        if path != keep:
            total -= path.stat().st_size
            # Windows keeps a file that another run reads.
            with suppress(PermissionError):
                path.unlink()
