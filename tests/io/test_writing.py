"""Files and folders are written completely or not at all, and nothing is left of the killed."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from anomalyncd.io.writing import (
    remove_abandoned,
    remove_temporary,
    workshop,
    write_atomically,
)


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


_KILLED = """
import os, sys
from pathlib import Path
from anomalyncd.io.writing import workshop
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
