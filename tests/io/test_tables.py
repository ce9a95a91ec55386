"""Tables of every format are read without loss."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.errors import InputError
from anomalyncd.io.tables import is_table, read_table, write_table


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_csv_of_every_kind(tmp_path: Path, separator: str, encoding: str, ending: str) -> None:
    rows = [["image", "lot", "groß"], ["a.png", "001", "NA"], ["", "1,5;\t", ""], ["", "", ""]]
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=ending).writerows(rows)
    path = _write(tmp_path / "t.csv", text.getvalue() + ending, encoding)
    table = read_table(path, "table")
    assert list(table.columns) == rows[0]
    assert table.to_numpy().tolist() == rows[1:3]


def test_empty_columns_of_a_spreadsheet_are_left_aside(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "t.csv", "image;lot;;\na.png;1;;\n"), "table")
    assert list(table.columns) == ["image", "lot"]


def test_json_lines_keep_what_is_written(tmp_path: Path) -> None:
    lines = [
        '{"image": "a.png", "lot": 1, "weight": 1.50, "ok": true, "x": null}',
        "",
        '{"image": "b.png", "time": "2024-01-02", "weight": NaN, "tags": ["ä", 1]}',
    ]
    table = read_table(_write(tmp_path / "t.jsonl", "\n".join(lines)), "table")
    assert list(table.columns) == ["image", "lot", "weight", "ok", "x", "time", "tags"]
    assert table.to_numpy().tolist() == [
        ["a.png", "1", "1.50", "true", "", "", ""],
        ["b.png", "", "", "", "", "2024-01-02", '["ä", "1"]'],
    ]


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    frame = pd.DataFrame({"image": ["a.png", "b.png"], "lot": ["001", None], "n": [1, None]})
    frame["n"] = frame["n"].astype("Int64")
    frame.index = pd.Index([5, 9])
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", "table")
    assert table.to_dict("list") == {
        "image": ["a.png", "b.png"],
        "lot": ["001", ""],
        "n": ["1", ""],
    }
    _write(tmp_path / "t.parquet", "no table")
    with pytest.raises(InputError, match=r"table '.*t\.parquet' is damaged"):
        read_table(tmp_path / "t.parquet", "table")


def test_parquet_without_pyarrow_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"install 'anomalyncd\[parquet\]', or save .* as \.csv"):
        read_table(_write(tmp_path / "t.parquet", "x"), "table")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "has no rows"),
        ("t.csv", "image,lot\n", "has no rows"),
        ("t.csv", "image,lot\na.png\n", "1 cells in line 2, but its header has 2"),
        ("t.csv", "image,lot\na.png,1,2\n", "put cells that contain ',' in quotes"),
        ("t.csv", 'image,lot\n"a.png,1\n', "damaged in line 2"),
        ("t.csv", "image,lot,lot\na.png,1,2\n", "two columns named 'lot'"),
        ("t.csv", "image,\na.png,2\n", "column without a name"),
        ("t.jsonl", '{"image": "a.png"}\n{', "damaged in line 2"),
        ("t.jsonl", "[1]", "no object in line 1"),
        ("t.jsonl", "\n", "has no rows"),
    ],
)
def test_faults_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"table '.*{name}' .*{message}"):
        read_table(_write(tmp_path / name, text), "table")


def test_missing_and_wrongly_encoded_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the path"):
        read_table(tmp_path / "t.csv", "table")
    with pytest.raises(InputError, match="is not in UTF-8; save it again as 'CSV UTF-8'"):
        read_table(_write(tmp_path / "t.csv", "image\nä.png\n", "latin-1"), "table")


def test_what_counts_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").mkdir()
    assert is_table("images.CSV")
    assert is_table(Path("images.parquet"))
    assert not is_table("photos")
    assert not is_table(tmp_path / "photos.csv")
    assert not is_table(["a.csv"])


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=5))
def test_every_cell_survives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    wanted = [list(row) for row in rows if any(row)] or [["a", "b"]]
    text = io.StringIO()
    csv.writer(text).writerows([["x", "y"], *wanted])
    path = _write(folder / "t.csv", text.getvalue())
    assert read_table(path, "table").to_numpy().tolist() == wanted
    lines = (json.dumps({"x": x, "y": y}) for x, y in wanted)
    path = _write(folder / "t.jsonl", "\n".join(lines))
    assert read_table(path, "table").to_numpy().tolist() == wanted


def test_every_line_break_within_a_cell_becomes_a_line_feed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'image,lot\r\na.png,"1\r2\r\n3\n4"\r\n')
    (tmp_path / "a.jsonl").write_bytes(b'{"image": "a.png", "lot": "1\\r2\\r\\n3\\n4"}\n')
    for name in ("a.csv", "a.jsonl"):
        assert read_table(tmp_path / name, "manifest")["lot"].tolist() == ["1\n2\n3\n4"]


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"lot": "a\u2028b\x85c"}\n', encoding="utf-8")
    assert read_table(tmp_path / "a.jsonl", "manifest")["lot"].tolist() == ["a\u2028b\x85c"]


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-left/000", "@SUM(A1)", "\tx", "\uff1d1"]
HARMLESS = ["-1.5", "+3", "-1,5", "-1e-3", "-.5", "a=b", "", "Maß", "it's", "'quoted'", " =1"]


def test_what_a_spreadsheet_would_run_is_guarded_and_read_back(tmp_path: Path) -> None:
    cells = [*FORMULAS, *HARMLESS, *(f"'{cell}" for cell in FORMULAS), "''=1", "'-1.5"]
    table = pd.DataFrame({"name": cells, "=column": cells, "size": np.linspace(-1, 1, len(cells))})
    path = tmp_path / "deep" / "table.csv"
    write_table(table, path)
    shown = pd.read_csv(path, dtype=str, keep_default_na=False)  # finds the byte order mark itself
    assert list(shown) == ["name", "'=column", "size"]
    assert list(shown["name"][: len(FORMULAS)]) == [f"'{cell}" for cell in FORMULAS]
    assert list(shown["name"][len(FORMULAS) :][: len(HARMLESS)]) == HARMLESS
    assert shown["size"][0] == "-1.0"
    read = read_table(path, "table")
    assert list(read) == list(table)
    assert list(read["name"]) == list(read["=column"]) == cells


def test_excel_recognises_the_encoding(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"name": ["Würfel"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == "\ufeffname\nWürfel\n".encode()


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "\ufeffsep=;\r\n"])
def test_a_first_line_may_name_the_separator(tmp_path: Path, first: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{first}name,x;left\na,b;1,5\n", encoding="utf-8", newline="")
    assert read_table(path, "table").to_dict("list") == {"name,x": ["a,b"], "left": ["1,5"]}
    path.write_text(f"{first}name;left\na;1;2\n", encoding="utf-8", newline="")
    with pytest.raises(InputError, match="3 cells in line 3"):
        read_table(path, "table")


@pytest.mark.parametrize("separator", ["|", "\t", ","])
def test_any_separator_may_be_named(tmp_path: Path, separator: str) -> None:
    text = f"sep={separator}\nimage{separator}lot;x\na.png{separator}1\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert list(read_table(tmp_path / "t.csv", "table")) == ["image", "lot;x"]


@pytest.mark.parametrize("suffix", ["xlsx", "XLS", "ods", "xlsm", "numbers"])
def test_a_workbook_is_refused_with_the_remedy(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"images.{suffix}"
    path.write_bytes(b"PK\x03\x04")
    for read in (is_table, lambda path: read_table(path, "manifest")):
        with pytest.raises(InputError, match=r"is a workbook .* save its sheet as 'CSV UTF-8'"):
            read(path)
    folder = tmp_path / f"folder.{suffix}"
    folder.mkdir()
    assert not is_table(folder)
