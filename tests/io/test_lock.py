"""Programs that work in one folder at the same time."""

import subprocess
import sys
from pathlib import Path

import pytest

from anomalyncd.errors import InputError
from anomalyncd.io.lock import exclusive, only_writer

_WORKS = """
import sys
from pathlib import Path
from anomalyncd.io.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("works", flush=True)
    sys.stdin.read()
"""


def test_a_second_long_work_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", _WORKS, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match=r"another program writes into '.*run'; wait"):
            only_writer(folder).__enter__()
        with exclusive(folder):
            pass
        other.kill()
    with only_writer(folder):
        pass
    assert {path.name for path in folder.iterdir()} <= {".lock"}


def test_a_folder_that_is_gone_at_the_end_is_no_success(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    work = only_writer(folder)
    work.__enter__()
    folder.rename(tmp_path / "away")
    folder.mkdir()
    (folder / "later.csv").write_text("a")
    with pytest.raises(InputError, match=r"run' was moved or deleted .*; check the connection"):
        work.__exit__(None, None, None)
    with only_writer(folder):
        pass
