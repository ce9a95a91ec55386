"""Which files of a folder are complete: those that have not changed for some time."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.files import is_reachable
from anomalyncd.line.watch_state import Arrival

_log = logging.getLogger(__name__)


@dataclass
class _Waiting:
    arrival: Arrival
    since: float
    """When it was first found as it is, in seconds of a clock that never goes back."""
    again: float
    """When it may be read."""


class Arrivals:
    """The files of a folder that have not been read yet.

    A file is identified by its path, size and time of change, so one that is replaced is new. It is
    ready once these have not changed for some seconds.

    Args:
        folder: The watched folder.
        steady: Seconds without a change.
        known: Files that were read before.
        clock: Returns seconds.
    """

    def __init__(
        self,
        folder: Path,
        steady: float,
        known: Iterable[Arrival] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.steady, self.clock = folder, steady, clock
        # Hashes are smaller than the paths of a million files.
        self._known = {hash(one) for one in known}
        self._waiting: dict[str, _Waiting] = {}
        self._touched: set[str] = set()
        self._listed = True
        self.passed_over: set[str] = set()
        """Files and folders, relative to the watched one, that cannot be read as they are."""
        self.unlisted = str(folder)
        """The folder that could not be listed last."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of files that wait."""
        return len(self._waiting) + len(self._touched)

    def touch(self, path: str | Path) -> None:
        """Notes an event of a file, from any thread."""
        relative = os.path.relpath(path, self.folder)
        if _is_image(relative):
            with self._lock:
                self._touched.add(relative)

    def scan(self) -> bool:
        """Looks at the whole folder; False where it could not be listed, as on a lost network."""
        self.unlisted = str(self.folder)
        try:
            for path in self._files():
                self._look(os.path.relpath(path, self.folder))
        except OSError as error:
            if self._listed:
                place = self.unlisted
                _log.warning("folder '%s' cannot be listed (%s); trying again", place, error)
            self._listed = False
        else:
            self._listed = True
        return self._listed

    def ready(self) -> list[Arrival]:
        """Returns the files that can be read now, in the order of their times."""
        with self._lock:
            touched, self._touched = self._touched, set()
        for path in touched | set(self._waiting):
            with suppress(OSError):  # What waited goes on waiting.
                self._look(path)
        now = self.clock()
        ready = [one.arrival for one in self._waiting.values() if one.again <= now]
        return sorted(ready, key=lambda one: (one.mtime_ns, one.path))

    def age(self, arrival: Arrival) -> float:
        """Returns for how many seconds a waiting file has not changed."""
        found = self._waiting.get(arrival.path)
        return 0.0 if found is None else self.clock() - found.since

    def postpone(self, arrival: Arrival) -> None:
        """Reads a file again later."""
        if arrival.path in self._waiting:
            self._waiting[arrival.path].again = self.clock() + max(self.steady, 0.05)

    def done(self, arrival: Arrival) -> None:
        """Never reads a file again, unless it changes."""
        self._known.add(hash(arrival))
        self._waiting.pop(arrival.path, None)

    def _files(self) -> Iterator[Path]:
        """The images below the folder; hidden files and folders are no part of it."""
        folders = [self.folder]
        while folders:
            current = folders.pop()
            try:
                with os.scandir(current) as listing:
                    entries = list(listing)
            except FileNotFoundError:
                if current == self.folder:
                    raise
                continue  # Removed since its parent was listed.
            except PermissionError as error:
                if current == self.folder:
                    raise
                self._refuse(os.path.relpath(current, self.folder), error)
                continue
            except OSError:
                self.unlisted = str(current)
                raise
            self.passed_over.discard(os.path.relpath(current, self.folder))
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif _is_image(entry.name):
                    yield Path(entry.path)

    def _refuse(self, path: str, error: PermissionError) -> None:
        self._pass_over(path, f"{error.strerror or error}; allow it to be read")

    def _pass_over(self, path: str, reason: str) -> None:
        """Says once that a file or folder is left out."""
        if path not in self.passed_over:
            # No log and no terminal takes a name that is not in UTF-8.
            shown = str(self.folder / path).encode("utf-8", "backslashreplace").decode()
            _log.warning("'%s' is passed over: %s", shown, reason)
        self.passed_over.add(path)

    def _look(self, path: str) -> None:
        if not _is_text(path):
            self._pass_over(path, "its name is not in UTF-8; rename it")
            return
        try:
            found = (self.folder / path).stat()
        except FileNotFoundError:
            # Only a folder that is there can lack a file; on a lost network all of them seem gone.
            if is_reachable(self.folder):
                self._waiting.pop(path, None)
                self.passed_over.discard(path)
            return
        except PermissionError as error:
            self._refuse(path, error)
            return
        self.passed_over.discard(path)
        arrival = Arrival(Path(path).as_posix(), found.st_size, found.st_mtime_ns)
        before = self._waiting.get(arrival.path)
        if hash(arrival) in self._known:
            self._waiting.pop(arrival.path, None)
        elif before is None or before.arrival != arrival:
            now = self.clock()
            self._waiting[arrival.path] = _Waiting(arrival, now, now + self.steady)


@contextmanager
def events_of(arrivals: Arrivals, wake: Callable[[], None]) -> Iterator[None]:
    """Notes the events of a folder as long as the context lasts.

    Args:
        arrivals: The files of the folder.
        wake: Called after each event of a file.

    Raises:
        OSError: The system cannot watch the folder.
    """
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type not in ("created", "modified", "moved", "closed"):
                return
            for path in (event.src_path, event.dest_path):
                if path and not event.is_directory:
                    arrivals.touch(os.fsdecode(path))
            wake()

    observer = Observer()
    observer.schedule(Handler(), str(arrivals.folder), recursive=True)
    observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.join()


def _is_text(path: str) -> bool:
    """Whether a path can be written in UTF-8, as databases and JSON need it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_image(path: str) -> bool:
    found = Path(path)
    return found.suffix.lower() in IMAGE_SUFFIXES and not any(
        step.startswith(".") for step in found.parts
    )
