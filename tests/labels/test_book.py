"""The label book: what is said holds, ids never come back, and two writers lose nothing."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd.errors import InputError
from anomalyncd.labels.book import LabelBook, Named, ids_to_be
from anomalyncd.labels.history import lines
from anomalyncd.labels.log import LabelLog
from support.full_disk import no_room

N_REGIONS = 8


def _regions(shift: float = 0.0) -> pd.DataFrame:
    names = [f"image {row // 2}" for row in range(N_REGIONS)]
    left = np.arange(N_REGIONS) % 2 * 100.0 + shift
    return pd.DataFrame(
        {"name": names, "left": left, "top": shift, "right": left + 50, "bottom": 50.0 + shift}
    )


DISCOVERED = np.array([0, 1, 1, 2, 2, 2, 0, 1])


def _book(folder: Path, author: str = "ada", **changes: object) -> LabelBook:
    given = {"regions": _regions(), "discovered": DISCOVERED} | changes
    names = ["normal", "class 1", "class 2"]
    return LabelBook(folder / "labels.sqlite", class_names=names, author=author, **given)


def test_discovered_classes_get_ids_once(tmp_path):
    book, again = _book(tmp_path), _book(tmp_path)
    assert [(one.id, one.name) for one in again.state.in_use] == [
        (0, "normal"),
        (1, "class 1"),
        (2, "class 2"),
    ]
    assert [one.name for one in again.history] == ["discovered"]
    np.testing.assert_array_equal(book.ids, again.ids)
    assert list(book.classes_of_discovery()) == [0, 1, 2]
    assert (book.said() == -1).all()


def test_what_was_said_last_holds_for_regions_and_images(tmp_path):
    book = _book(tmp_path)
    book.move(book.ids[[0, 1]], 2)
    book.move_images(["image 0"], 1)
    assert list(book.said()[:3]) == [1, 1, -1]
    book.move(book.ids[[1]], 0)
    assert list(book.said()[:3]) == [1, 0, -1]
    book.move(book.ids[[1]], None)
    assert list(book.said()[:3]) == [1, -1, -1]


def test_merged_classes_are_followed_and_their_ids_never_come_back(tmp_path):
    book = _book(tmp_path)
    new = book.new_class("pit", book.ids[[5]])
    assert new == 3
    book.merge(2, [new])
    assert list(book.classes_of_discovery()) == [0, 1, 2]
    book.merge(1, [2])
    assert list(book.classes_of_discovery()) == [0, 1, 1]
    assert book.said()[5] == 1
    with pytest.raises(InputError, match="merged into class 1"):
        book.move(book.ids[[0]], 2)
    book.undo()
    assert book.said()[5] == 2
    while book.undo():
        pass
    assert book.new_class("pit", book.ids[[5]]) == 4, "3 was used, though it was undone"
    assert [one.id for one in book.state.in_use] == [0, 1, 2, 4]


def test_undo_and_redo_to_the_beginning(tmp_path):
    book = _book(tmp_path)
    book.edit(1, name="scratch", severity="major", escape_cost=20.0, colour="#ff0000")
    book.split(2, book.ids[[3]], {"pit": book.ids[[4, 5]]})
    after = (book.said().tolist(), book.state.in_use)
    assert after[0] == [-1, -1, -1, 2, 3, 3, -1, -1]
    assert [action.name for action in (book.undo(), book.undo())] == ["split", "edit"]
    assert book.undo() is None
    assert book.state.classes[1].name == "class 1"
    book.redo()
    book.redo()
    assert book.redo() is None
    assert (book.said().tolist(), book.state.in_use) == after
    book.undo()
    book.move(book.ids[[0]], 1)
    assert book.redo() is None, "a new action ends what could be done again"


def test_a_cost_can_be_forgotten(tmp_path):
    book = _book(tmp_path)
    book.edit(1, escape_cost=5.0)
    book.edit(1, name="scratch")
    assert book.state.classes[1].escape_cost == 5.0
    book.edit(1, escape_cost=float("nan"))
    assert book.state.classes[1].escape_cost is None


def test_names_and_descriptions_that_cannot_be_used(tmp_path):
    book = _book(tmp_path)
    before = book.state.last
    for message, change in {
        "already": {"name": "CLASS 2"},
        "characters": {"name": " "},
        "no colour": {"colour": "red"},
        "no kind": {"kind": "bad"},
        "no severity": {"severity": "huge"},
        "cannot cost": {"escape_cost": -1.0},
        "not in the run": {"examples": [10**6]},
    }.items():
        with pytest.raises(InputError, match=message):
            book.edit(1, **change)
    with pytest.raises(InputError, match="fixed"):
        book.edit(0, name="good")
    with pytest.raises(InputError, match="class 9 does not exist"):
        book.move(book.ids[[0]], 9)
    with pytest.raises(InputError, match="image 'x'"):
        book.move_images(["x"], 1)
    assert book.state.last == before


def test_a_new_discovery_keeps_ids_and_what_was_said(tmp_path):
    book = _book(tmp_path)
    book.edit(1, name="scratch")
    book.edit(2, name="dent")
    book.move(book.ids[[4]], 1)
    # The classes come in another order, and the boxes lie a little beside the old ones.
    swapped = np.array([0, 2, 1])[DISCOVERED]
    again = _book(tmp_path, regions=_regions(shift=2.0), discovered=swapped)
    assert [action.name for action in again.history][-1] == "discovered"
    assert list(again.classes_of_discovery()) == [0, 2, 1]
    assert list(again.said()) == [-1, -1, -1, -1, 1, -1, -1, -1]
    assert [one.name for one in again.state.in_use] == ["normal", "scratch", "dent"]
    assert set(again.ids).isdisjoint(book.ids)


@pytest.mark.parametrize("third", [0.0, 0.5])
def test_what_was_said_last_holds_when_earlier_regions_come_back(tmp_path, third):
    book = _book(tmp_path)
    book.move(book.ids[[1, 2]], 1)
    second = _book(tmp_path, regions=_regions(shift=2.0))
    second.move(second.ids[[1, 4]], 2)
    second.move(second.ids[[2]], None)
    again = _book(tmp_path, regions=_regions(shift=third))
    assert list(again.said()) == [-1, 2, -1, -1, 2, -1, -1, -1]
    again.undo()
    again.undo()
    assert list(again.said()) == [-1, 1, 1, -1, -1, -1, -1, -1], "as before the second discovery"
    n_actions = len(again.history)
    assert len(_book(tmp_path, regions=_regions(shift=third)).history) == n_actions
    assert len(_book(tmp_path, regions=_regions(shift=2.0)).history) == n_actions + 1


def test_growth_after_a_discovery_that_came_back_needs_no_row(tmp_path):
    for shift in (0.0, 2.0, 0.0):
        book = _book(tmp_path, regions=_regions(shift))
    more = pd.concat([_regions(), _regions().assign(name="image 9")[:2]], ignore_index=True)
    for _ in range(2):
        grown = _book(tmp_path, regions=more, discovered=np.append(DISCOVERED, [1, 2]))
        assert len(grown.history) == len(book.history) == 3


def test_neighbours_that_overlap_keep_what_was_said_of_each(tmp_path):
    close = _regions()
    close[["left", "right"]] -= np.arange(N_REGIONS)[:, None] % 2 * 85.0  # 15 px beside each other.
    book = _book(tmp_path, regions=close)
    book.move(book.ids[[0]], 1)
    book.move(book.ids[[1]], 2)
    for shift in (2.0, 0.0):
        moved = close.assign(left=close["left"] + shift, right=close["right"] + shift)
        assert list(_book(tmp_path, regions=moved).said()[:2]) == [1, 2]


def test_examples_are_followed_through_a_new_discovery_and_can_be_changed(tmp_path):
    book = _book(tmp_path)
    book.edit(1, examples=book.ids[[1, 2]], counter_examples=book.ids[[3]])
    book.edit(2, examples=book.ids[[7]])
    moved = _regions(shift=2.0)
    moved.loc[7, ["left", "right"]] += 40  # Another place: nothing is there any more.
    again = _book(tmp_path, regions=moved)
    described = again.state.classes[1]
    assert described.examples == tuple(again.ids[[1, 2]])
    assert described.counter_examples == tuple(again.ids[[3]])
    lost = again.state.classes[2].examples
    assert lost == tuple(book.ids[[7]])
    again.edit(2, examples=[*lost, again.ids[4]])
    assert again.state.classes[2].examples == (again.ids[4],)
    with pytest.raises(InputError, match="region 999 is not in the run"):
        again.edit(2, examples=[999])


def test_ids_are_known_before_there_is_a_book(tmp_path):
    twice = pd.concat([_regions()[:3], _regions()[1:]], ignore_index=True)
    expected = ids_to_be(twice)
    book = _book(tmp_path, regions=twice, discovered=np.zeros(len(twice), np.int64))
    np.testing.assert_array_equal(book.ids, expected)
    assert list(ids_to_be(_regions())) == list(range(1, N_REGIONS + 1))


def test_a_class_of_a_new_discovery_that_is_like_none_gets_a_new_id(tmp_path):
    _book(tmp_path)
    names = ["normal", "class 1", "class 2", "class 3"]
    discovered = np.array([0, 1, 1, 2, 3, 3, 0, 1])
    again = LabelBook(tmp_path / "labels.sqlite", _regions(), discovered, names, "ada")
    # Class 2 of the first discovery shares two regions with the last class, one with the third.
    assert list(again.classes_of_discovery()) == [0, 1, 3, 2]
    assert again.state.classes[3].name == "class 3"


def test_regions_that_were_added_need_no_new_row(tmp_path):
    book = _book(tmp_path)
    book.move(book.ids[[1]], 2)
    more = pd.concat([_regions(), _regions().assign(name="image 9")[:2]], ignore_index=True)
    grown = _book(tmp_path, regions=more, discovered=np.append(DISCOVERED, [1, 2]))
    assert len(grown.history) == 2
    assert list(grown.said()[[1, 8]]) == [2, -1]


def test_labels_by_name_make_the_classes_that_are_missing(tmp_path):
    book = _book(tmp_path)
    book.edit(1, name="Scratch")
    named = [
        Named("scratch", regions=book.ids[:2].tolist()),
        Named("pit", images=["image 2"]),
        Named("pit", regions=book.ids[7:].tolist()),
    ]
    book.add_named(named)
    assert list(book.said()) == [1, 1, -1, -1, 3, 3, -1, 3]
    assert book.undo().name == "import"
    assert (book.said() == -1).all()


def test_labels_from_before_a_merge_are_about_the_class_that_took_the_regions(tmp_path):
    book = _book(tmp_path)
    book.edit(2, name="crack")
    book.edit(2, name="fissure")
    book.merge(1, [2])
    rows = book.ids.tolist()
    book.add_named(
        [
            Named("crack", rows[:1], class_id=2),
            Named("fissure", rows[1:2]),
            Named("pit", rows[2:3], class_id=2),  # A person changed the name in the table.
            Named("class 1", rows[3:4], class_id=77),
        ]
    )
    assert list(book.said()) == [1, 1, 3, 1, -1, -1, -1, -1]
    assert [one.name for one in book.state.in_use] == ["normal", "class 1", "pit"]


def test_a_label_follows_the_id_of_a_class_that_got_another_name(tmp_path):
    book = _book(tmp_path)
    book.edit(1, name="dent")
    other = book.new_class("class 1")
    book.add_named([Named("class 1", [1], class_id=1), Named("class 1", [2])])
    assert list(book.said()[:2]) == [1, other]


def test_an_edit_says_something(tmp_path):
    book = _book(tmp_path)
    with pytest.raises(InputError, match="nothing is said of class 1"):
        book.edit(1)
    assert [one.name for one in book.history] == ["discovered"]


def test_descriptions_do_not_change_what_the_tables_follow(tmp_path):
    book = _book(tmp_path)
    assert book.is_followed
    book.edit(1, severity="major", escape_cost=3.0, description="deep", examples=[1])
    assert book.is_followed
    book.edit(1, name="scratch")
    assert not book.is_followed
    book.undo()
    assert book.is_followed
    book.edit(1, kind="ignored")
    assert not book.is_followed
    book.note("corrected", book.state, {})
    assert book.is_followed
    book.undo()
    assert not book.is_followed
    book.redo()
    book.move([1], 2)
    assert not book.is_followed


def test_two_writers_lose_nothing_of_each_other(tmp_path):
    books = [_book(tmp_path, author) for author in ("ada", "ben", "cay")]

    def write(index: int) -> int:
        return books[index % 3].new_class(f"kind {index}", books[0].ids[[index % N_REGIONS]])

    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(write, range(30)))
    assert sorted(ids) == list(range(3, 33))
    assert {one.name for one in books[0].state.in_use} >= {f"kind {index}" for index in range(30)}
    assert {one.author for one in books[1].history} == {"ada", "ben", "cay"}


_KILLED = """
import os, sys
import numpy as np, pandas as pd
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from labels.test_book import _book
book = _book(Path(sys.argv[1]))
for index in range(1000):
    book.edit(1, description=str(index))
    print(index, flush=True)
    if index == 25:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal 9")
def test_what_was_shown_as_saved_survives_a_kill(tmp_path):
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", _KILLED, str(tmp_path), tests]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    assert printed[-1] == "25"
    assert _book(tmp_path).state.classes[1].description == "25"


def test_files_that_are_no_label_book(tmp_path):
    path = tmp_path / "labels.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match="damaged or no label book"):
        _book(tmp_path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(InputError, match="is no label book"):
        _book(tmp_path)
    path.unlink()
    _book(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InputError, match="newer version"):
        _book(tmp_path)


def test_a_discovery_that_lost_a_region_is_recorded_once(tmp_path):
    _book(tmp_path)
    fewer = {"regions": _regions().iloc[1:], "discovered": DISCOVERED[1:]}
    for _ in range(3):
        book = _book(tmp_path, **fewer)
    assert [action.name for action in book.history] in (["discovered"], ["discovered"] * 2)


def test_a_class_of_a_later_discovery_survives_that_its_making_is_undone(tmp_path):
    book = _book(tmp_path)
    pit = book.new_class("pit", book.ids[DISCOVERED == 2].tolist())
    again = _book(tmp_path, discovered=np.array([0, 2, 2, 1, 1, 1, 1, 1]))
    assert pit in again.classes_of_discovery()
    again.undo()
    assert pit in again.classes_of_discovery()
    assert again.state.classes[pit].name == "class 3"
    assert list(again.said()) == [-1] * N_REGIONS


def test_only_what_was_said_before_a_fit_counts_as_followed(tmp_path):
    book = _book(tmp_path)
    book.edit(1, name="scratch")
    fitted = book.state
    book.edit(2, name="dent")
    book.note("corrected", fitted, {})
    assert book.n_pending == 1
    book.note("corrected", book.state, {})
    assert book.n_pending == 0
    assert _book(tmp_path, discovered=np.array([0, 1, 1, 2, 2, 2, 1, 1])).n_pending == 2


def test_history_has_the_names_of_merged_classes(tmp_path):
    book = _book(tmp_path)
    book.edit(2, description="dark")
    book.merge(1, [2, 2])
    book.merge(0, [1])
    assert [line.text for line in lines(book.history, book.state)][1:] == [
        "change description of class 2",
        "merge class 2 into class 1",
        "merge class 1 into normal",
    ]


def test_a_book_can_be_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    _book(tmp_path).edit(1, name="scratch")

    def refuse(log):
        raise AssertionError("the book was opened to be written")

    monkeypatch.setattr(LabelLog, "write", refuse)
    assert _book(tmp_path).state.classes[1].name == "scratch"
    assert [path.name for path in tmp_path.iterdir()] == ["labels.sqlite"]


@pytest.mark.parametrize("text", ["d" * 10_001, "\udcff"])
def test_descriptions_that_cannot_be_saved(tmp_path, text):
    with pytest.raises(InputError, match="the description"):
        _book(tmp_path).edit(1, description=text)


def test_imported_names_are_compared_without_further_blanks(tmp_path):
    book = _book(tmp_path)
    book.edit(1, name="deep  pit")
    book.add_named([Named(" Deep  Pit", [1])])
    assert len(book.state.in_use) == 3


def test_a_full_disk_is_named_as_such(tmp_path):
    book = _book(tmp_path)
    size = (tmp_path / "labels.sqlite").stat().st_size
    with no_room(size), pytest.raises(InputError, match="disk"):
        book.edit(1, description="d" * 9_000)
    assert book.state.classes[1].description == ""
