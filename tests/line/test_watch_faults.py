"""A watch of which one access to a file or to the database fails, each of them in turn."""

import builtins
import csv
import errno
import io
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anomalyncd.errors import InputError
from anomalyncd.line import delivery, watch_state
from anomalyncd.line.sinks import CsvSink
from anomalyncd.line.watch import Summary, Watch, WatchSettings
from anomalyncd.line.watch_state import Arrival, Finished, WatchState, only_watcher
from support.line import FakePredictor, picture

_CALLS = ("stat", "scandir", "listdir", "mkdir", "unlink", "replace", "rename", "truncate", "fsync")


class Faults:
    """Lets one access below a folder fail, before or after it has done its work.

    Args:
        folder: The folder.
        at: Number of the access; None for none.
        late: Whether the access does its work first.
    """

    def __init__(self, folder: Path, at: int | None, late: bool) -> None:
        self.folder, self.at, self.late = folder, at, late
        self.n_accesses = 0

    def attach(self, patch: pytest.MonkeyPatch) -> None:
        """Patches what reads and writes files."""
        for name in _CALLS:
            patch.setattr(os, name, self._failing(getattr(os, name)))
        opened = self._failing(io.open)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        connect, failing = sqlite3.connect, self._failing

        class Connection(sqlite3.Connection):
            def execute(self, *values: Any) -> sqlite3.Cursor:
                found: sqlite3.Cursor = failing(super().execute, True)(*values)
                return found

            def executemany(self, *values: Any) -> sqlite3.Cursor:
                found: sqlite3.Cursor = failing(super().executemany, True)(*values)
                return found

        patch.setattr(sqlite3, "connect", lambda *of, **by: connect(*of, factory=Connection, **by))

    def _failing(self, function: Callable[..., Any], is_query: bool = False) -> Callable[..., Any]:
        def called(*values: Any, **named: Any) -> Any:
            is_due = is_query or self._has(values[0] if values else ".")
            self.n_accesses += is_due
            is_due = is_due and self.n_accesses - 1 == self.at
            if not is_due or self.late:
                found = function(*values, **named)
            if is_due:
                if self.late and hasattr(found, "close"):
                    found.close()
                if is_query:
                    raise sqlite3.OperationalError("disk I/O error")
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(values[0]))
            return found

        return called

    def _has(self, place: Any) -> bool:
        if isinstance(place, int):
            return True
        return Path(place).is_relative_to(self.folder)


def results(place: Path) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """The rows of the table, and the files of all folders, without the times and digests."""
    with (place / "out" / "results.csv").open(newline="") as table:
        rows = [one | {"finished": ""} for one in csv.DictReader(table)]
    files = {}
    for path in sorted([*(place / "sorted").rglob("*"), *(place / "out" / "review").rglob("*")]):
        if path.is_file():
            content = b"" if path.suffix == ".json" else path.read_bytes()
            name = re.sub(r"-[0-9a-f]{8}_", "_", path.relative_to(place).as_posix())
            assert name not in files
            files[name] = content
    return sorted(rows, key=lambda one: int(one["id"])), files


def watch(place: Path) -> Summary:
    settings = WatchSettings(steady=0.0, folder=place / "sorted")
    return Watch(place / "in", place / "out", FakePredictor(), settings).run(once=True)


def made(place: Path) -> Path:
    (place / "in").mkdir(parents=True)
    for index, level in enumerate((150, 50)):
        (place / "in" / f"{index}.png").write_bytes(picture(level))
        os.utime(place / "in" / f"{index}.png", (index, index))
    return place


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_state, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(delivery, "_TICK", 0.01)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("late", [False, True])
def test_any_access_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    counting = Faults(tmp_path / "whole", None, late)
    with monkeypatch.context() as patch:
        counting.attach(patch)
        watch(made(tmp_path / "whole"))
    expected = results(tmp_path / "whole")
    assert len(expected[0]) == 2
    wrong = []
    for number in range(counting.n_accesses):
        place = made(tmp_path / str(number))
        with monkeypatch.context() as patch:
            Faults(place, number, late).attach(patch)
            try:
                is_whole = not watch(place).n_undelivered
            except (InputError, OSError):
                is_whole = False
        if not is_whole:
            watch(place)
        if results(place) != expected:
            wrong.append((number, results(place)))
    assert not wrong


def test_a_copy_that_failed_is_made_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, source = made(tmp_path / "place"), Finished.source
    failures = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def failing(self: Finished, watched: Path) -> Path | None:
        if failures:
            raise failures.pop()
        return source(self, watched)

    monkeypatch.setattr(Finished, "source", failing)
    assert watch(place).n_undelivered == 0
    assert list((place / "out" / "review").iterdir())


def test_a_new_watch_tries_at_once_what_could_not_be_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LAST_SECONDS", 0.0)
    place = made(tmp_path / "place")

    def failing(self: Finished, watched: Path) -> Path | None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Finished, "source", failing)
        assert watch(place).n_undelivered > 0
    assert watch(place).n_undelivered == 0
    assert list((place / "out" / "review").iterdir())


def test_results_that_vanish_at_the_end_are_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, look = made(tmp_path / "place"), delivery.deliver_last

    def vanishing(*details: Any, **named: Any) -> None:
        look(*details, **named)
        (place / "out").rename(place / "away")

    monkeypatch.setattr("anomalyncd.line.watch.deliver_last", vanishing)
    with pytest.raises(InputError, match=r"out' cannot be used .*moved or deleted"):
        watch(place)
    assert not (place / "out").exists()


@pytest.mark.parametrize("is_short", [False, True])
def test_no_row_is_cut_or_twice_after_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_short: bool
) -> None:
    sink = CsvSink(tmp_path / "results.csv")
    found = [Finished(one, Arrival(f"{one}.png", 1, 1), "", None, "broken") for one in (1, 2)]
    sink.deliver(found[0])

    class Short(io.FileIO):
        """A file on a disk on which five bytes are left."""

        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:5])

    def failing(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        if is_short:
            patch.setattr(Path, "open", lambda path, mode, buffering: Short(path, "a"))
        else:
            patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match=r"error|space"):
            sink.deliver(found[1])
    sink.deliver(found[1])
    sink.deliver(found[1])
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "1", "2"]


def test_a_database_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    state = WatchState(tmp_path)
    state.close()
    with pytest.raises(InputError, match=r"results.sqlite' cannot be used"):
        state.n_pending()
    (tmp_path / "watch.lock").write_bytes(b"no lock" * 500)
    lock = r"watch.lock' cannot be used \(file is not"
    with pytest.raises(InputError, match=lock), only_watcher(tmp_path):
        pass
