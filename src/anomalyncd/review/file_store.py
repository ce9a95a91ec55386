"""Files that were computed for a review, stored in the cache so that they are made once."""

import os
import re
from contextlib import suppress
from pathlib import Path
from threading import Lock

from anomalyncd.errors import InputError
from anomalyncd.io.cache import PICTURES, cache_folder, cache_limit, delete_oldest
from anomalyncd.io.key import key
from anomalyncd.io.writing import write_atomically
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.logs import LOG

_DISCOVERY = "features.npy"
"""A correction leaves this file of a run as it is, another discovery does not."""
_SHARE = 0.25
"""Share of the limit of the cache that the files of all reviews may take."""
_LOOK_EVERY = 500
"""So many files are written between two looks at how large the folder is."""


class FileStore:
    """Files of one run in the cache; the least recently used files of all runs are deleted first.

    Args:
        run: The run; another run in its folder has other files.

    Raises:
        InputError: The limit of the cache is invalid.
    """

    def __init__(self, run: Run) -> None:
        place = str(run.folder.resolve())
        self.root = cache_folder() / PICTURES
        self.folder = self.root / key(place, run.folder / _DISCOVERY)
        self.limit = _SHARE * cache_limit()
        self._lock = Lock()
        self._n_written = 0

    def load(self, name: str) -> bytes | None:
        """Returns the content of a file; None where it was not made yet, or was deleted."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def save(self, name: str, content: bytes) -> None:
        """Stores a file; one that cannot be written is made again next time."""
        if not self.limit:
            return
        try:
            with write_atomically(self._path(name)) as temporary:
                temporary.write_bytes(content)
        except InputError as error:
            LOG.warning("pictures are not cached: %s", error)
            self.limit = 0
            return
        with self._lock:
            self._n_written += 1
            look = self._n_written % _LOOK_EVERY == 0
        if look:
            delete_oldest(self.root, self.limit, self._path(name))

    def save_private(self, name: str, content: bytes) -> None:
        """Stores a file that only the user of this machine can read."""
        with suppress(InputError), write_atomically(self._path(name)) as temporary:
            temporary.touch(0o600)
            temporary.write_bytes(content)

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9-]+\.[a-z]+", name):
            raise ValueError(f"'{name}' is no name of a cached file")
        return self.folder / name
