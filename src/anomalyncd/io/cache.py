"""What is kept between runs: backbones, and tokens that were read with them."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import platformdirs
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from anomalyncd.errors import InputError
from anomalyncd.io.files import write_atomically
from anomalyncd.runtime.logs import LOG

CACHE_VARIABLE = "ANOMALYNCD_CACHE"
LIMIT_VARIABLE = "ANOMALYNCD_CACHE_GB"
WEIGHTS, BASE, TOKENS = "weights", "base", "tokens"
"""Folders within the cache."""
_WHAT = {WEIGHTS: "backbones", BASE: "base sets that were read", TOKENS: "images that were read"}
_LIMIT_GB = 8.0
_LEFT_FREE = 1e9
"""Bytes of the disk that are left to others, results above all."""


def cache_folder() -> Path:
    """Where all of it lies: `ANOMALYNCD_CACHE` or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("anomalyncd"))


def cache_limit() -> float:
    """Bytes that base sets and images may take, each: `ANOMALYNCD_CACHE_GB`; 0 keeps neither.

    Raises:
        InputError: The variable is no such number.
    """
    value = os.environ.get(LIMIT_VARIABLE) or _LIMIT_GB
    with suppress(ValueError):
        limit = float(value) * 1e9
        if limit >= 0:
            return limit
    raise InputError(
        f"{LIMIT_VARIABLE}={value!r} cannot be used; give a number of gigabytes, 0 to keep nothing"
    )


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
        sizes = [state.st_size for _, state in _files(folder)]
        entries.append(CacheEntry(folder, what, len(sizes), sum(sizes)))
    return entries


def clear_cache() -> int:
    """Deletes the cache and returns how many bytes that freed; all of it can be made again."""
    before = sum(entry.n_bytes for entry in cache_entries())
    for entry in cache_entries():
        # Windows keeps what another run reads.
        shutil.rmtree(entry.folder, ignore_errors=True)
    return before - sum(entry.n_bytes for entry in cache_entries())


class TensorStore:
    """Tensors by key, each set of them in a file of its own, those used longest ago deleted first.

    No run ends because of it: what cannot be read is missing, what cannot be written is not kept.

    Args:
        name: Of the folder within the cache.

    Raises:
        InputError: See `cache_limit`.
    """

    def __init__(self, name: str) -> None:
        self.folder = cache_folder() / name
        self.limit = cache_limit()
        self._n_bytes: int | None = None
        self._writable = self.limit > 0

    def load(self, key: str) -> dict[str, Tensor] | None:
        """What was saved under a key, mapped from its file; None if it is missing or damaged."""
        path = self._path(key)
        if not self.limit:
            return None
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError):
            return None
        with suppress(OSError):
            os.utime(path)
        return tensors

    def save(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Keeps tensors, contiguous ones that share no memory, if there is room for them."""
        n_bytes = sum(one.nbytes for one in tensors.values())
        if not self._writable or n_bytes > self.limit:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free < n_bytes + _LEFT_FREE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _write(self._path(key), tensors)
            self._make_room(n_bytes, self._path(key))
        except (OSError, SafetensorError) as error:
            self._writable = False
            LOG.warning(
                "nothing more is kept in '%s' (%s); see its permissions and the space on the disk",
                self.folder,
                error,
            )

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _make_room(self, n_new: int, newest: Path) -> None:
        """Lists the folder at the first call, and again only once it has grown too large."""
        if self._n_bytes is None:
            self._n_bytes = sum(state.st_size for _, state in _files(self.folder))
        else:
            self._n_bytes += n_new
        if self._n_bytes > self.limit:
            forget_oldest(self.folder, 0.9 * self.limit, newest)
            self._n_bytes = None


def forget_oldest(folder: Path, most_bytes: float, keep: Path) -> None:
    """Deletes the files used longest ago until the rest is small enough.

    Args:
        folder: Holds the files.
        most_bytes: What may stay.
        keep: A file that stays in any case.
    """
    files = sorted(_files(folder), key=lambda file: file[1].st_mtime)
    total = sum(state.st_size for _, state in files)
    for path, state in files:
        if total <= most_bytes:
            return
        if path != keep:
            total -= state.st_size
            # Windows keeps a file that another run reads.
            with suppress(PermissionError):
                path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.rglob("*"):
        with suppress(OSError):  # Another run may delete it meanwhile.
            state = path.stat()
            if S_ISREG(state.st_mode):
                yield path, state


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    with write_atomically(path) as temporary:
        temporary.touch()
        usual = temporary.stat().st_mode
        save_file(tensors, temporary)
        # Files of safetensors may be read by their owner alone, and a cache may be shared.
        temporary.chmod(usual)
