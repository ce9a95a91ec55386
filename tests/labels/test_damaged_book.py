"""A damaged or hostile label book ends with one line; nothing in it is run."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalyncd.errors import InputError
from anomalyncd.labels.book import LabelBook
from anomalyncd.labels.history import lines
from anomalyncd.labels.state import ACTIONS, Action, replay

PLACES = pd.DataFrame(
    {"name": ["a", "b"], "left": [0.0, 0.0], "top": 0.0, "right": 5.0, "bottom": 5.0}
)
FIRST = Action(
    1,
    "",
    "",
    "discovered",
    {"make": [{"id": 0, "name": "normal"}, {"id": 1, "name": "x"}], "classes": [0, 1]},
)
KEYS = ["class", "name", "said", "make", "into", "classes", "regions", "images", "id", "kind"]
KEYS += ["colour", "same_regions", "followed", "severity", "examples"]
VALUES = st.recursive(
    st.none() | st.integers(-1, 3) | st.sampled_from(["x", "", "defect"]) | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=6,
)
LOGS = st.lists(
    st.tuples(
        st.sampled_from(sorted(ACTIONS)), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
    ),
    max_size=4,
)


def _book(folder: Path) -> LabelBook:
    return LabelBook(folder / "labels.sqlite", PLACES, np.array([0, 1]), ["normal", "x"], "me")


def _run(folder: Path, *statements: str) -> None:
    _book(folder)
    with closing(sqlite3.connect(folder / "labels.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@given(LOGS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_log_can_be_put_into_words_or_is_damaged(log: list[tuple[str, dict[str, Any]]]) -> None:
    actions = [FIRST, *(Action(n, "", "", *one) for n, one in enumerate(log, 2))]
    try:
        state = replay(actions)
    except InputError:
        return
    assert len(lines(actions, state)) == len(actions)
    assert all(state.classes[state.resolve(one)] for one in state.classes)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("undo", "{}"),
        ("redo", "{}"),
        ("burn", "{}"),
        ("edit", '{"class": 7, "name": "z"}'),
        ("edit", '{"class": 1, "name": 5}'),
        ("edit", '{"class": 1, "colour": ["red"]}'),
        ("edit", '{"class": 1, "colour": "red;} body {display: none"}'),
        ("edit", '{"class": 1, "kind": "<b>"}'),
        ("edit", '{"class": 1, "examples": ["<b>"]}'),
        ("merge", '{"into": 1, "classes": [1]}'),
        ("assign", '{"said": []}'),
        ("assign", '{"said": [{"class": "1", "regions": [1]}]}'),
        ("confirm", "{}"),
        ("new class", '{"make": []}'),
        ("discovered", '{"classes": [0, 1], "regions": 3}'),
        ("discovered", '{"classes": [0, 1], "regions": ["3"]}'),
        ("corrected", '{"followed": [1]}'),
        ("edit", "[1]"),
        ("edit", "{"),
        ("edit", "[" * 100_000),
    ],
)
@pytest.mark.timeout(30)
def test_a_row_that_nobody_writes(tmp_path: Path, name: str, arguments: str) -> None:
    _book(tmp_path)
    with closing(sqlite3.connect(tmp_path / "labels.sqlite")) as connection, connection:
        connection.execute(
            "INSERT INTO log (time, author, name, arguments) VALUES ('', '', ?, ?)",
            (name, arguments),
        )
    with pytest.raises(InputError, match=r"damaged.*put a copy"):
        _ = _book(tmp_path).state


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE log", f"CREATE VIEW log AS {ENDLESS}"],
        ["CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM log; END"],
        ["DROP TABLE region"],
        ["ALTER TABLE log RENAME COLUMN arguments TO others"],
        ["UPDATE region SET box_left = 'left'"],
        ["UPDATE log SET author = x'ff'"],
    ],
)
def test_a_book_with_programs_or_other_tables(tmp_path: Path, statements: list[str]) -> None:
    _run(tmp_path, *statements)
    with pytest.raises(InputError, match=r"labels.sqlite' is damaged"):
        _ = _book(tmp_path).state


def test_what_is_written_is_not_damaged(tmp_path: Path) -> None:
    book = _book(tmp_path)
    book.edit(1, name="scratch", escape_cost=2, examples=book.ids[:1].tolist())
    new = book.new_class("other", book.ids[:1], ["a"])
    book.merge(0, [new])
    book.undo()
    book.redo()
    again = _book(tmp_path)
    assert again.state.classes[new].merged_into == 0
    assert json.dumps([one.text for one in lines(again.history, again.state)])
