"""The log of a label book: one SQLite file to which rows are only ever added."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from anomalyncd.errors import InputError
from anomalyncd.io.writing import unwritable
from anomalyncd.labels.state import Action

SCHEMA = 1
"""Raised when an older version would misread a newer file."""
_APPLICATION = 0x414E4344
"""Marks an SQLite file as a label book."""
_TIMEOUT = 30.0
"""Seconds that a writer waits for another one."""
_TABLES = """
CREATE TABLE log (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    author TEXT NOT NULL,
    name TEXT NOT NULL,
    arguments TEXT NOT NULL
);
CREATE TABLE region (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image TEXT NOT NULL,
    box_left REAL NOT NULL,
    box_top REAL NOT NULL,
    box_right REAL NOT NULL,
    box_bottom REAL NOT NULL,
    class INTEGER NOT NULL,
    UNIQUE (image, box_left, box_top, box_right, box_bottom)
);
"""
_MIGRATIONS: dict[int, str] = {}
"""For each older schema the statements that bring a file to the next one."""

RegionRow: TypeAlias = tuple[int, str, float, float, float, float, int]
"""Id, image, left, top, right, bottom (px), and id of the class that its discovery put it into."""
Place: TypeAlias = tuple[str, float, float, float, float]
"""Image, left, top, right, bottom (px)."""


class LabelLog:
    """Actions and regions in a file; each method opens and closes it, so threads may share one.

    Two writers wait for each other. A row counts as saved when the call that wrote it returns, and
    then it is on disk.

    Args:
        path: The file; made where it is missing.

    Raises:
        InputError: It cannot be read or written, or is no label book, or one of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.read() as connection:
            _refuse_programs(connection)
            ready = _marks(connection) == (_APPLICATION, SCHEMA)
        if not ready:
            with self.write() as connection:
                _prepare(connection, path)

    def actions(self, after: int = 0) -> list[Action]:
        """Returns the rows of the log above a number, in order."""
        with self.read() as connection:
            return read_actions(connection, after)

    def regions(self) -> list[RegionRow]:
        """Returns all regions that were ever in the run, by id."""
        with self.read() as connection:
            return read_regions(connection)

    def append(
        self, author: str, decide: Callable[[list[Action]], tuple[str, dict[str, Any]] | None]
    ) -> int:
        """Adds one row that is decided while no other writer can add one.

        Args:
            author: Who acts.
            decide: Gets all rows so far; returns the action and its arguments, or None to add
                nothing.

        Returns:
            Number of the last row.
        """
        with self.write() as connection:
            so_far = read_actions(connection)
            decided = decide(so_far)
            if decided is not None:
                return add_action(connection, author, *decided)
            return so_far[-1].number if so_far else 0

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Opens the file for one transaction that no other writer interrupts."""
        with self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # A full disk has ended it already.
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Opens the file; nothing is written into its folder."""
        try:
            connection = sqlite3.connect(self.path, timeout=_TIMEOUT, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA trusted_schema=OFF")
                yield connection
            finally:
                connection.close()
        except (sqlite3.Error, OverflowError) as error:
            lacks_table = str(error).startswith("no such")
            if isinstance(error, sqlite3.OperationalError) and not lacks_table:
                raise unwritable(self.path, error) from error
            raise InputError(
                f"label book '{self.path}' is damaged or no label book ({error}); put a copy of it "
                "in its place, or delete it to start anew"
            ) from error


def read_actions(connection: sqlite3.Connection, after: int = 0) -> list[Action]:
    """Returns the rows of the log above a number, in order."""
    rows = connection.execute(
        "SELECT number, time, author, name, arguments FROM log WHERE number > ? ORDER BY number",
        (after,),
    )
    actions = []
    for number, time, author, name, written in rows:
        try:
            arguments = json.loads(written)
        except (ValueError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict) or {type(time), type(author), type(name)} != {str}:
            raise sqlite3.DatabaseError(f"row {number} of its log cannot be read")
        actions.append(Action(number, time, author, name, arguments))
    return actions


def add_action(
    connection: sqlite3.Connection, author: str, name: str, arguments: dict[str, Any]
) -> int:
    """Adds one row to the log within a transaction; returns its number."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    added = connection.execute(
        "INSERT INTO log (time, author, name, arguments) VALUES (?, ?, ?, ?)",
        (time, author, name, json.dumps(arguments, ensure_ascii=False, allow_nan=False)),
    )
    return int(added.lastrowid or 0)


def read_regions(connection: sqlite3.Connection) -> list[RegionRow]:
    """Returns all regions by id."""
    rows = list(connection.execute("SELECT * FROM region ORDER BY id"))
    kinds = [int, str, *(float,) * 4, int]
    if any([type(cell) for cell in row] != kinds for row in rows):
        raise sqlite3.DatabaseError("a region of it has another kind of place or class")
    return rows


def add_regions(connection: sqlite3.Connection, places: Sequence[Place]) -> None:
    """Adds regions that are not there yet, in the normal class."""
    connection.executemany(
        "INSERT OR IGNORE INTO region (image, box_left, box_top, box_right, box_bottom, class)"
        " VALUES (?, ?, ?, ?, ?, 0)",
        places,
    )


def set_classes(connection: sqlite3.Connection, classes: Sequence[tuple[int, Place]]) -> None:
    """Sets the class that the discovery put regions into."""
    connection.executemany(
        "UPDATE region SET class = ? WHERE image = ? AND box_left = ? AND box_top = ?"
        " AND box_right = ? AND box_bottom = ?",
        [(class_id, *place) for class_id, place in classes],
    )


def _refuse_programs(connection: sqlite3.Connection) -> None:
    """Raises for a file that would run something of its own when it is read or written."""
    own = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')")
    if found := own.fetchone():
        raise sqlite3.DatabaseError(f"it has a trigger or view '{found[0]}'")


def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
    """What a file says it is, and its schema; both 0 in a new one."""
    statements = ("PRAGMA application_id", "PRAGMA user_version")
    application, schema = (int(connection.execute(one).fetchone()[0]) for one in statements)
    return application, schema


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the tables of a new file, and brings those of an older one up to date."""
    application, schema = _marks(connection)
    empty = not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    if not empty and application != _APPLICATION:
        raise InputError(f"'{path}' is no label book; move it away, or name another run")
    if schema > SCHEMA:
        raise InputError(
            f"label book '{path}' was written by a newer version (schema {schema}, this version "
            f"reads {SCHEMA}); update anomalyncd"
        )
    if empty:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
    else:
        for older in range(schema, SCHEMA):
            for statement in _MIGRATIONS[older].split(";"):
                connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
