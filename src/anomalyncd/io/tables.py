"""Tables that people keep in files, CSV, JSON lines or Parquet: every cell comes back as text."""

import csv
import io
import json
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import unreadable

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})
"""Suffixes of the files that count as tables, in lower case."""

_SEPARATORS = ",;\t"


def is_table(value: object) -> bool:
    """Whether something that was given is the path of a table, by its suffix."""
    if not isinstance(value, str | Path):
        return False
    path = Path(value).expanduser()
    return path.suffix.lower() in TABLE_SUFFIXES and not path.is_dir()


def read_table(path: Path, what: str) -> pd.DataFrame:
    """Reads a table and loses nothing: "001" and "NA" stay what they are, a blank cell is "".

    Args:
        path: `.csv` or `.tsv` in UTF-8, cells parted by comma, semicolon or tab; `.jsonl` or
            `.ndjson`, an object a line; or `.parquet`, which needs pyarrow.
        what: What the table is, for messages: "manifest", "table of boxes".

    Returns:
        One row each, at least one; columns in their order, all of text.

    Raises:
        InputError: The file is missing, damaged, in another encoding, or holds no rows, rows of
            several lengths, or two columns of one name.
    """
    label = f"{what} '{path}'"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, what, error) from error
    if path.suffix.lower() == ".parquet":
        table = _from_objects(_parquet_rows(content, label), label)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        table = _from_objects(_json_rows(_decoded(content, label), label), label)
    else:
        table = _from_csv(_decoded(content, label), label)
    if table.empty:
        raise InputError(f"{label} holds no rows; give one a line, below the names of the columns")
    return table


def _refuse_no_text(cells: Iterable[str], label: str) -> None:
    # Half of a pair of code units, which JSON can write and UTF-8 cannot.
    bad = next((cell for cell in cells if re.search("[\ud800-\udfff\0]", cell)), None)
    if bad is not None:
        raise InputError(f"{label} holds {bad!a}, which is no text; write it anew")


def _decoded(content: bytes, label: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{label} is not in UTF-8; save it again as 'CSV UTF-8'") from error


def _from_csv(text: str, label: str) -> pd.DataFrame:
    # Excel parts cells by semicolons wherever the comma stands in numbers.
    header = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if rows and len(row) not in (0, len(rows[0])):
                raise InputError(
                    f"{label} has {len(row)} cells in line {reader.line_num}, its head has "
                    f"{len(rows[0])}; put cells that hold '{separator}' in quotes"
                )
            if any(row):
                rows.append([_with_line_feeds(cell) for cell in row])
    except csv.Error as error:
        raise InputError(
            f"{label} is damaged in line {reader.line_num} ({error}); save it again"
        ) from error
    _refuse_no_text(chain.from_iterable(rows), label)
    columns = [name.strip() for name in rows[0]] if rows else []
    table = pd.DataFrame(rows[1:], columns=columns, dtype=str)
    _refuse_doubled(columns, label)
    return _without_empty_column(table, label)


def _refuse_doubled(columns: list[str], label: str) -> None:
    doubled = sorted({name for name in columns if name and columns.count(name) > 1})
    if doubled:
        raise InputError(f"{label} has two columns named '{doubled[0]}'; rename one of them")


def _without_empty_column(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Drops columns without a name, which spreadsheets leave behind, if nothing is in them."""
    nameless = table.columns == ""
    if (table.loc[:, nameless] != "").to_numpy().any():
        raise InputError(f"{label} has a column without a name; name it in the first line")
    return table.loc[:, ~nameless]


def _json_rows(text: str, label: str) -> list[dict[str, Any]]:
    rows = []
    # Not `splitlines`, which also parts at characters that JSON may hold.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written; NaN is no JSON, but many write it.
            row = json.loads(line, parse_int=str, parse_float=str, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{label} is damaged in line {number} ({error}); save it again"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{label} holds no object in line {number}; give one a line")
        rows.append(row)
    return rows


def _parquet_rows(content: bytes, label: str) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError(
            f"{label} needs pyarrow; install 'anomalyncd[parquet]', or save the table as .csv"
        ) from error
    try:
        rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"{label} is damaged ({error}); save it again") from error
    # pandas keeps the index of a data frame as a column of this name.
    return [{k: v for k, v in row.items() if not k.startswith("__index_level_")} for row in rows]


def _from_objects(rows: Iterable[dict[str, Any]], label: str) -> pd.DataFrame:
    texts = [{name: _text(value) for name, value in row.items()} for row in rows]
    columns = list(dict.fromkeys(name for row in texts for name in row))
    _refuse_no_text([*columns, *chain.from_iterable(row.values() for row in texts)], label)
    return pd.DataFrame(
        [[row.get(c, "") for c in columns] for row in texts], columns=columns, dtype=str
    )


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN alone differs from itself
        return ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _with_line_feeds(str(value))


def _with_line_feeds(cell: str) -> str:
    # A carriage return alone would end the row in the tables of a run.
    return cell.replace("\r\n", "\n").replace("\r", "\n")
