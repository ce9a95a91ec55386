"""What became of each file of a watched folder, in SQLite, so that no restart forgets it."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anomalyncd.errors import InputError
from anomalyncd.io.files import is_reachable
from anomalyncd.io.writing import writing
from anomalyncd.line.verdict import Verdict

FILE = "results.sqlite"
_LOCK = "watch.lock"
_TIMEOUT = 30.0
"""Seconds until a busy file counts as blocked."""
_LONGEST_WAIT = 300.0
"""Seconds between two attempts to deliver."""
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, finished TEXT,
    ok INTEGER, decision TEXT, class_name TEXT, severity TEXT, score REAL, confidence REAL,
    verdict TEXT, reason TEXT,
    UNIQUE (path, size, mtime_ns)
);
CREATE TABLE IF NOT EXISTS deliveries (
    file INTEGER NOT NULL REFERENCES files (id), sink TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, error TEXT,
    PRIMARY KEY (file, sink)
);
CREATE TABLE IF NOT EXISTS models (fit TEXT NOT NULL, first INTEGER NOT NULL);
"""
_GONE = "it was moved or deleted"


@dataclass(frozen=True)
class Arrival:
    """A file as it was found; its three values together are its identity."""

    path: str
    """Relative to the watched folder, as POSIX."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time of its last change, in nanoseconds."""


@dataclass(frozen=True)
class Finished:
    """What became of one file."""

    id: int
    arrival: Arrival
    finished: str
    """Time in UTC."""
    verdict: Verdict | None
    """None for a broken file."""
    reason: str
    """Why there is no verdict."""

    @property
    def path(self) -> str:
        """Path of the file, relative to the watched folder."""
        return self.arrival.path

    def source(self, watched: Path) -> Path | None:
        """Returns the file, or None where it is gone or another one has taken its place.

        Raises:
            OSError: The drive does not answer.
        """
        path = watched / self.path
        try:
            found = path.stat()
        except FileNotFoundError:
            if not is_reachable(watched):
                raise
            return None
        same = (found.st_size, found.st_mtime_ns) == (self.arrival.size, self.arrival.mtime_ns)
        return path if same else None

    def __str__(self) -> str:
        if self.verdict is None:
            return f"{self.path}: broken, {self.reason}"
        of = self.verdict
        good = {True: "good", False: "not good", None: "no operating point"}[of.ok]
        named = of.class_name if of.decision == "class" else of.decision
        return f"{self.path}: {good}, {named}, score {of.score:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Returns it as it is delivered: JSON-ready."""
        return {
            "id": self.id,
            "path": self.path,
            "finished": self.finished,
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "reason": self.reason,
        }


class WatchState:
    """The files of one watched folder; each thread opens its own.

    Args:
        folder: Holds the database; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with writing(self.path):
            folder.mkdir(parents=True, exist_ok=True)
        self._connection = _opened(self.path)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise _unusable(self.path, error) from error

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def known(self) -> Iterator[Arrival]:
        """Yields all files that are finished."""
        rows = self._rows("SELECT path, size, mtime_ns FROM files WHERE state != 'started'")
        yield from (Arrival(*row) for row in rows)

    def observed(self, fit: str) -> Iterator[tuple[str, bool, float, int, float]]:
        """Yields what the same model said of earlier images, the oldest first.

        Args:
            fit: Digest of what the model was made from; another one than before begins anew.

        Yields:
            Time, whether the image is unseen, its novelty, the id of its class, and its score.
        """
        with self._change() as connection:
            last = connection.execute(
                "SELECT fit, first FROM models ORDER BY rowid DESC LIMIT 1"
            ).fetchone()
            if last is None or last[0] != fit:
                connection.execute(
                    "INSERT INTO models SELECT ?, coalesce(max(id), 0) + 1 FROM files "
                    "WHERE state != 'started'",
                    (fit,),
                )
                return
        yield from self._rows(
            "SELECT finished, decision = 'unseen', "
            "coalesce(json_extract(verdict, '$.novelty'), 0.0), "
            "json_extract(verdict, '$.class_id'), score "
            "FROM files WHERE state = 'done' AND id >= ? ORDER BY finished",
            (last[1],),
        )

    def start(self, arrival: Arrival) -> tuple[int, int]:
        """Notes that a file is about to be read.

        Returns:
            Its id, and how often it was about to be read before without an end.
        """
        with self._change() as connection:
            connection.execute(
                "INSERT INTO files (path, size, mtime_ns, state, attempts) "
                "VALUES (?, ?, ?, 'started', 0) ON CONFLICT DO UPDATE SET attempts = attempts + 1",
                (arrival.path, arrival.size, arrival.mtime_ns),
            )
            row: tuple[int, int] = connection.execute(
                "SELECT id, attempts FROM files WHERE path = ? AND size = ? AND mtime_ns = ?",
                (arrival.path, arrival.size, arrival.mtime_ns),
            ).fetchone()
        return row

    def postpone(self, number: int) -> None:
        """Notes that a file is not complete, or has changed; it will be read again."""
        with self._change() as connection:
            connection.execute("UPDATE files SET attempts = -1 WHERE id = ?", (number,))

    def finish(
        self, number: int, verdict: Verdict | None, reason: str, sinks: Sequence[str]
    ) -> Finished:
        """Records what became of a file, and which sinks have to get it.

        Args:
            number: Its id.
            verdict: None for a broken file.
            reason: Why there is no verdict.
            sinks: Names of the sinks.
        """
        values: dict[str, Any] = {
            "state": "broken" if verdict is None else "done",
            "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "reason": reason,
        }
        if verdict is not None:
            for name in ("ok", "decision", "class_name", "severity", "score", "confidence"):
                values[name] = getattr(verdict, name)
            values["verdict"] = json.dumps(verdict.to_dict(), ensure_ascii=False)
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        with self._change() as connection:
            connection.execute(
                f"UPDATE files SET {assignments} WHERE id = :id", {**values, "id": number}
            )
            connection.executemany(
                "INSERT INTO deliveries (file, sink) VALUES (?, ?)",
                [(number, sink) for sink in sinks],
            )
        return self._finished(number)

    def due(self, sink: str, most: int = 100) -> list[Finished]:
        """Returns what a sink has to get now, the oldest first."""
        now = time.time()
        # What is due later than it may be was planned before the clock was set back.
        rows = self._rows(
            "SELECT file FROM deliveries WHERE sink = ? AND (due <= ? OR due > ?) "
            "ORDER BY file LIMIT ?",
            (sink, now, now + _LONGEST_WAIT, most),
        )
        return [self._finished(number) for (number,) in list(rows)]

    def n_pending(self, sink: str | None = None) -> int:
        """Returns how much has to be delivered, to one sink or to all."""
        ((count,),) = self._rows(
            "SELECT count(*) FROM deliveries WHERE ? IS NULL OR sink = ?", (sink, sink)
        )
        return int(count)

    def delivered(self, number: int, sink: str) -> None:
        """Notes that a sink has got a file."""
        with self._change() as connection:
            connection.execute("DELETE FROM deliveries WHERE file = ? AND sink = ?", (number, sink))

    def retry(self) -> None:
        """Makes everything due, since what failed may work now: a new watch waits for nothing."""
        with self._change() as connection:
            connection.execute("UPDATE deliveries SET due = 0, attempts = 0")

    def failed(self, number: int, sink: str, error: str) -> float:
        """Notes that a sink could not get a file; it is tried again later and later.

        Returns:
            Seconds until the next attempt.
        """
        with self._change() as connection:
            (attempts,) = connection.execute(
                "SELECT attempts FROM deliveries WHERE file = ? AND sink = ?", (number, sink)
            ).fetchone()
            wait: float = min(2.0 ** min(attempts, 20), _LONGEST_WAIT)
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, due = ?, error = ? "
                "WHERE file = ? AND sink = ?",
                (time.time() + wait, error, number, sink),
            )
        return wait

    def _finished(self, number: int) -> Finished:
        ((*identity, finished, verdict, reason),) = self._rows(
            "SELECT path, size, mtime_ns, finished, verdict, reason FROM files WHERE id = ?",
            (number,),
        )
        found = None if verdict is None else Verdict.from_dict(json.loads(verdict))
        return Finished(number, Arrival(*identity), finished, found, reason)

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a query."""
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        if not is_reachable(self.path):  # The system would go on with the file that has no name.
            raise _unusable(self.path, _GONE)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield self._connection
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from error


@contextmanager
def only_watcher(folder: Path) -> Iterator[None]:
    """Lets one process at a time write into a folder; the system ends the lock with the process.

    Raises:
        InputError: Another process is at work, or the folder was moved or deleted meanwhile.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    connection = _opened(folder / _LOCK, timeout=0.0)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        connection.close()
        if "locked" not in str(error):
            raise _unusable(folder / _LOCK, error) from error
        raise InputError(
            f"'{folder}' is used by another watch; end it, or give another `out`"
        ) from error
    try:
        yield
        if not is_reachable(folder / _LOCK):
            raise _unusable(folder, _GONE)
    finally:
        connection.close()


def _opened(path: Path, timeout: float = _TIMEOUT) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=timeout, isolation_level=None)
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception | str) -> InputError:
    return InputError(
        f"'{path}' cannot be used ({error}); check its permissions and the space on the disk, or "
        "give another `out`"
    )
