"""Listing files, and reading them in threads."""

import errno
import os
import time
import unicodedata
from pathlib import Path

import pytest

from anomalyncd.errors import InputError
from anomalyncd.io.files import files_by_name, read_each, refuse_unwritable_names

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


def test_folder_of_a_drive_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: Path) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"cannot be listed \(.*\); .*its drive, then run"):
        files_by_name(tmp_path, SUFFIXES, "image")
