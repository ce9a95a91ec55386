"""A run folder of somebody else names images; no such name leads out of a folder."""

from pathlib import Path

import pytest

from anomalyncd.errors import InputError
from anomalyncd.io.columns import columns_of
from anomalyncd.results.run_folder import read_table

CELLS = {"text": "x", "flag": "True", "whole": "0", "number": "0.5"}


def _write(folder: Path, name: str) -> None:
    columns = [one for one in columns_of("images.csv") if not (one.optional or one.per_class)]
    cells = [name if one.name == "name" else CELLS[one.kind] for one in columns]
    text = ",".join(one.name for one in columns) + "\n" + ",".join(cells) + "\n"
    (folder / "images.csv").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "/etc/a", "..\\a", "C:\\a", "C:a", "//server/share/a", "a/.."]
)
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    _write(tmp_path, name)
    with pytest.raises(InputError, match="leads out of a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize("name", ["a/b", "..a", "a..", "a...b/c", "v1.2", "\u00fc/\u202ea"])
def test_names_that_stay_in_it(tmp_path: Path, name: str) -> None:
    _write(tmp_path, name)
    assert read_table(tmp_path)["name"].tolist() == [name]


def test_what_pandas_says_becomes_one_line(tmp_path: Path) -> None:
    _write(tmp_path, "x")
    with (tmp_path / "images.csv").open("a", encoding="utf-8") as file:
        file.write("a," * 50 + "\n")
    with pytest.raises(InputError, match=r"is damaged .*make the run again$") as raised:
        read_table(tmp_path)
    assert "\n" not in str(raised.value)
