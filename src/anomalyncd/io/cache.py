"""The cache that runs share: weights of backbones, and the tokens computed with them."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import platformdirs
from torch import Tensor

from anomalyncd.errors import InputError
from anomalyncd.io.tensor_files import load_checked, save_checked
from anomalyncd.io.writing import unwritable, write_atomically
from anomalyncd.runtime.logs import LOG

CACHE_VARIABLE = "ANOMALYNCD_CACHE"
LIMIT_VARIABLE = "ANOMALYNCD_CACHE_GB"
WEIGHTS, BASE, TOKENS, PICTURES = "weights", "base", "tokens", "pictures"
"""Folders within the cache."""
_CONTENTS = {
    WEIGHTS: "backbones",
    BASE: "tokens of base sets",
    TOKENS: "tokens of images",
    PICTURES: "pictures of reviews",
}
_LIMIT_GB = 8.0
_RESERVED_BYTES = 1e9
"""Free space on the disk that the cache leaves, above all for results."""


def cache_folder() -> Path:
    """Returns the folder of the cache: `ANOMALYNCD_CACHE` or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("anomalyncd"))


def cache_limit() -> float:
    """Returns how many bytes the tokens of base sets and those of images may each take.

    The environment variable `ANOMALYNCD_CACHE_GB` sets it; with 0 no tokens are cached.

    Raises:
        InputError: The variable is not a number, or is negative.
    """
    value = os.environ.get(LIMIT_VARIABLE) or _LIMIT_GB
    with suppress(ValueError):
        limit = float(value) * 1e9
        if limit >= 0:
            return limit
    raise InputError(
        f"{LIMIT_VARIABLE}={value!r} cannot be used; give a number of gigabytes, 0 for no cache"
    )


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache."""

    folder: Path
    what: str
    """What the folder contains, in words."""
    n_files: int
    n_bytes: int


def cache_entries() -> list[CacheEntry]:
    """Lists the folders of the cache; other folders beside them are ignored."""
    entries = []
    for name, what in _CONTENTS.items():
        folder = cache_folder() / name
        sizes = [state.st_size for _, state in _files(folder)]
        entries.append(CacheEntry(folder, what, len(sizes), sum(sizes)))
    return entries


def clear_cache() -> int:
    """Deletes the cache, which later runs make again, and returns the number of bytes freed."""
    before = sum(entry.n_bytes for entry in cache_entries())
    for entry in cache_entries():
        # Windows does not delete files that another run reads.
        shutil.rmtree(entry.folder, ignore_errors=True)
    return before - sum(entry.n_bytes for entry in cache_entries())


class TensorStore:
    """Sets of tensors by key, one file each; the least recently used files are deleted first.

    The store never ends a run: an entry that cannot be read is missing, and one that cannot be
    written is not stored.

    Args:
        name: Name of the folder within the cache.

    Raises:
        InputError: The limit of the cache is invalid, see `cache_limit`.
    """

    def __init__(self, name: str) -> None:
        self.folder = cache_folder() / name
        self.limit = cache_limit()
        self._n_bytes: int | None = None
        self._writable = self.limit > 0

    def load(self, key: str) -> dict[str, Tensor] | None:
        """Returns the tensors of a key, mapped from their file, or None if missing or damaged."""
        path = self._path(key)
        if not self.limit:
            return None
        try:
            tensors = load_checked(path)
        except (OSError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)
        return tensors

    def save(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Stores contiguous tensors that share no memory, if there is room for them."""
        n_bytes = sum(tensor.nbytes for tensor in tensors.values())
        if not self._writable or n_bytes > self.limit:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free < n_bytes + _RESERVED_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _write(self._path(key), tensors)
            self._make_room(n_bytes, self._path(key))
        except (OSError, InputError) as error:
            self._writable = False
            reason = unwritable(self.folder, error) if isinstance(error, OSError) else error
            LOG.warning("nothing more is cached: %s", reason)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _make_room(self, n_new: int, newest: Path) -> None:
        """Lists the folder on the first call, and again only when it has grown too large."""
        if self._n_bytes is None:
            self._n_bytes = sum(state.st_size for _, state in _files(self.folder))
        else:
            self._n_bytes += n_new
        if self._n_bytes > self.limit:
            delete_oldest(self.folder, 0.9 * self.limit, newest)
            self._n_bytes = None


def delete_oldest(folder: Path, max_bytes: float, keep: Path) -> None:
    """Deletes the least recently used files of a folder until the rest is small enough.

    Args:
        folder: The folder.
        max_bytes: How many bytes may remain.
        keep: A file that is never deleted.
    """
    files = sorted(_files(folder), key=lambda file: file[1].st_mtime)
    total = sum(state.st_size for _, state in files)
    for path, state in files:
        if total <= max_bytes:
            return
        if path != keep:
            total -= state.st_size
            # Windows does not delete a file that another run reads.
            with suppress(PermissionError):
                path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.rglob("*"):
        with suppress(OSError):  # Another run may delete the file at the same time.
            state = path.stat()
            if S_ISREG(state.st_mode):
                yield path, state


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    with write_atomically(path) as temporary:
        temporary.touch()
        default_mode = temporary.stat().st_mode
        save_checked(tensors, temporary)
        # safetensors makes files that only their owner can read, but a cache may be shared.
        temporary.chmod(default_mode)
