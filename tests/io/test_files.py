"""Listing, reading in threads, and writing whole files."""

import os
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from uuid import uuid4

import pytest

from anomalyncd.errors import InputError
from anomalyncd.io.files import (
    files_by_name,
    read_each,
    refuse_unwritable_names,
    remove_abandoned,
    remove_temporary,
    workshop,
    write_atomically,
)

SUFFIXES = frozenset({".png", ".jpg"})


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_names_keep_dots_spaces_and_accents(tmp_path: Path) -> None:
    names = ["a.b/v1.2.final", "a_crop", "Kratzer groß/ä 1", "x.png"]
    for name in names:
        _touch(tmp_path / f"{name}.PNG")
    assert list(files_by_name(tmp_path, SUFFIXES, "image")) == sorted(names)


def test_hidden_and_other_files_are_left_aside(tmp_path: Path) -> None:
    for name in (".a.png", "._b.png", ".cache/c.png", "Thumbs.db", "__MACOSX/d.png", "notes.txt"):
        _touch(tmp_path / name)
    wanted = _touch(tmp_path / "e.png")
    assert files_by_name(tmp_path, SUFFIXES, "image") == {"e": wanted}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path / "a/1.png")
    _touch(tmp_path / "a/1.jpg")
    with pytest.raises(InputError, match=r"image 'a/1' exists twice .*'1\.jpg' and '1\.png'"):
        files_by_name(tmp_path, SUFFIXES, "image")


def test_names_are_composed(tmp_path: Path) -> None:
    _touch(tmp_path / (unicodedata.normalize("NFD", "é") + ".png"))
    assert list(files_by_name(tmp_path, SUFFIXES, "image")) == [unicodedata.normalize("NFC", "é")]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    _touch(tmp_path / "real/a.png")
    root = tmp_path / "root"
    root.mkdir()
    try:
        (root / "first").symlink_to(tmp_path / "real", target_is_directory=True)
        (root / "second").symlink_to(tmp_path / "real", target_is_directory=True)
        (root / "loop").symlink_to(root, target_is_directory=True)
    except OSError:
        pytest.skip("this account may not make links")
    assert list(files_by_name(root, SUFFIXES, "image")) == ["first/a", "second/a"]


def test_every_unusable_file_is_counted() -> None:
    def read(index: int) -> int:
        if index % 4 == 1:
            raise InputError(f"file {index} is damaged; save it again")
        return index * index

    assert read_each(lambda i: i * i, 40, "Reading") == [i * i for i in range(40)]
    with pytest.raises(InputError, match=r"^file 1 is damaged; save it again \(and 4 more\)$"):
        read_each(read, 20, "Reading")


def test_an_interruption_ends_reading_at_once() -> None:
    seen = []

    def read(index: int) -> None:
        seen.append(index)
        if index == 0:
            raise KeyboardInterrupt
        time.sleep(0.005)

    with pytest.raises(KeyboardInterrupt):
        read_each(read, 4000, "Reading")
    assert len(seen) < 2000


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/map.npy"
    for content in (b"old", b"new"):
        with write_atomically(path) as temporary:
            assert temporary.suffix == ".npy"
            assert temporary.parent == path.parent
            temporary.write_bytes(content)
        assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["map.npy"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "map.npy"
    path.write_bytes(b"old")
    with pytest.raises(fault), write_atomically(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise fault
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.npy"]


@pytest.mark.parametrize(
    "name",
    ["con", "a/NUL", "lpt1.old/3", "a:b", "a\\b", "..\\up", "C:/x", "what?", "lot./1", "lot /1"],
)
def test_names_that_windows_refuses(name: str) -> None:
    with pytest.raises(InputError, match="rename it"):
        refuse_unwritable_names([name], "win32")
    refuse_unwritable_names([name], "linux")


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_names_that_differ_only_in_case(system: str) -> None:
    with pytest.raises(InputError, match="'A/x' and 'a/X' differ only in case"):
        refuse_unwritable_names(["A/x", "b", "a/X"], system)
    refuse_unwritable_names(["A/x", "a/y", "console", "a.b/c.d", "Würfel 1"], system)


_KILLED = """
import os, sys
from pathlib import Path
from anomalyncd.io.files import workshop
with workshop(Path(sys.argv[1])) as hidden:
    (hidden / sys.argv[2]).mkdir()
    os._exit(1)
"""


def _leave_workshop(folder: Path, content: str = "new") -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(folder), content], check=False)


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    _leave_workshop(tmp_path)
    (abandoned,) = tmp_path.iterdir()
    with workshop(tmp_path) as used:
        remove_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [used]
    assert not abandoned.exists()


def test_the_only_copy_of_a_folder_that_was_being_replaced_stays(tmp_path: Path) -> None:
    _leave_workshop(tmp_path, "old")
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.glob("*/old"))) == 1


def test_only_files_that_were_never_finished_are_removed(tmp_path: Path) -> None:
    half = tmp_path / "maps" / f".{uuid4().hex}.npy"
    others = [tmp_path / "maps" / name for name in (".hidden", "a.npy", ".0123.npy")]
    half.parent.mkdir()
    for path in (half, *others):
        path.touch()
    remove_temporary(tmp_path)
    assert sorted((tmp_path / "maps").iterdir()) == sorted(others)


def test_what_is_written_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "map.npy", []

    def sync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with write_atomically(path) as temporary:
        temporary.write_bytes(b"12345")
    assert synced[0] == (5, False)


def test_what_has_no_lock_is_removed_once_it_is_old(tmp_path: Path) -> None:
    half, empty = tmp_path / f".{uuid4().hex}.html", tmp_path / ".results-0"
    half.touch()
    empty.mkdir()
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    for path in (half, empty):
        os.utime(path, (0, 0))
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())
