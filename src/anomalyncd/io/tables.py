"""Tables in CSV, JSON lines or Parquet, read as text, and CSV written so that Excel opens it."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import unreadable
from anomalyncd.io.writing import write_atomically

_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})
_SPREADSHEETS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"})
_MOST_ROWS, _MOST_CELLS = 1_000_000, 20_000_000
_MOST_UNPACKED, _ROWS_AT_ONCE = 1_000_000_000, 1024
_SEPARATORS = ",;\t"
ENCODING = "utf-8-sig"
"""Of CSV files: UTF-8 with a byte order mark, without which Excel shows wrong umlauts."""
_FORMULA = re.compile("'*[=+@\\-\t\r\uff1d\uff0b\uff20\uff0d]")
"""The beginning of a cell that a spreadsheet may run; quotes before it are those of `guarded`."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def is_table(value: object) -> bool:
    """Whether an argument is the path of a table, judged by its suffix.

    Raises:
        InputError: It is a workbook of a spreadsheet program.
    """
    if not isinstance(value, str | Path):
        return False
    path = Path(value).expanduser()
    _refuse_spreadsheet(path)
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def read_table(path: Path, what: str) -> pd.DataFrame:
    """Reads a table without interpreting its cells: "001" and "NA" remain, a blank cell is "".

    Args:
        path: A `.csv` or `.tsv` file in UTF-8 with cells separated by comma, semicolon or tab; a
            `.jsonl` or `.ndjson` file with one object in each line; or a `.parquet` file, which
            needs pyarrow. A first line "sep=;", as Excel knows it, names the separator. The quote
            that `guarded` puts before a formula is taken off.
        what: What the table is, for messages: "manifest", "table of boxes".

    Returns:
        The table with at least one row; the columns are in their order, and all of them text.

    Raises:
        InputError: The file is missing, damaged or not in UTF-8, has no rows or rows of different
            lengths, or has two columns with the same name.
    """
    label = f"{what} '{path}'"
    _refuse_spreadsheet(path)
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
        raise InputError(f"{label} has no rows; add them below the names of the columns")
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a CSV file, completely or not at all, that Excel opens with its umlauts.

    Text that a spreadsheet would run is guarded, see `guarded`; `read_table` restores it.

    Args:
        table: Any table; its index is not written.
        path: The file; missing folders are made.

    Raises:
        InputError: The file cannot be written.
    """
    safe = table.rename(columns=lambda name: guarded(str(name)))
    for column in safe.columns[[dtype.kind not in "biuf" for dtype in safe.dtypes]]:
        safe[column] = [guarded(cell) if isinstance(cell, str) else cell for cell in safe[column]]
    with write_atomically(path) as temporary:
        safe.to_csv(temporary, index=False, encoding=ENCODING, lineterminator="\n")


def guarded(cell: str) -> str:
    """Puts a quote before a text that begins like a formula, unless it is a number such as -1.5.

    Spreadsheets run such cells, so that the name of an image could call a program.

    Source: OWASP, "CSV Injection".
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unguarded(cell: str) -> str:
    """Takes the quote off again that `guarded` has put before a text."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _refuse_spreadsheet(path: Path) -> None:
    if path.suffix.lower() in _SPREADSHEETS and not path.is_dir():
        raise InputError(
            f"'{path}' is a workbook of a spreadsheet program; save its sheet as 'CSV UTF-8' and "
            "give the .csv file"
        )


def _refuse_invalid_text(cells: Iterable[str], label: str) -> None:
    # Half of a surrogate pair can be written in JSON, but not in UTF-8.
    bad = next((cell for cell in cells if re.search("[\ud800-\udfff\0]", cell)), None)
    if bad is not None:
        raise InputError(f"{label} contains {bad!a}, which is not text; write it again")


def _refuse_too_many(n_rows: int, n_columns: int, label: str) -> None:
    """Raises before a few bytes become a table that fills the memory."""
    if n_rows > _MOST_ROWS or n_rows * n_columns > _MOST_CELLS:
        raise InputError(
            f"{label} has {n_rows:,} rows and {n_columns:,} columns; keep the columns that matter, "
            "and give each line the same ones"
        )


def _decoded(content: bytes, label: str) -> str:
    try:
        return content.decode(ENCODING)
    except UnicodeDecodeError as error:
        raise InputError(f"{label} is not in UTF-8; save it again as 'CSV UTF-8'") from error


def _from_csv(text: str, label: str) -> pd.DataFrame:
    named = re.match(r'"?sep=(.)"?\r?\n', text)
    if named:
        separator = named[1]
    else:
        # Excel separates cells by semicolons where the comma is the decimal separator.
        header = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
        separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        if named:
            next(reader)
        for row in reader:
            if rows and len(row) not in (0, len(rows[0])):
                raise InputError(
                    f"{label} has {len(row)} cells in line {reader.line_num}, but its header has "
                    f"{len(rows[0])}; put cells that contain '{separator}' in quotes"
                )
            if any(row):
                rows.append([unguarded(_with_line_feeds(cell)) for cell in row])
    except csv.Error as error:
        raise InputError(
            f"{label} is damaged in line {reader.line_num} ({error}); save it again"
        ) from error
    _refuse_invalid_text(chain.from_iterable(rows), label)
    columns = [name.strip() for name in rows[0]] if rows else []
    table = pd.DataFrame(rows[1:], columns=columns, dtype=str)
    _refuse_duplicates(columns, label)
    return _without_empty_column(table, label)


def _refuse_duplicates(columns: list[str], label: str) -> None:
    duplicates = sorted(name for name, count in Counter(columns).items() if name and count > 1)
    if duplicates:
        raise InputError(f"{label} has two columns named '{duplicates[0]}'; rename one of them")


def _without_empty_column(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Drops the empty columns without a name that spreadsheets leave behind."""
    nameless = table.columns == ""
    if (table.loc[:, nameless] != "").to_numpy().any():
        raise InputError(f"{label} has a column without a name; name it in the first line")
    return table.loc[:, ~nameless]


def _json_rows(text: str, label: str) -> list[dict[str, Any]]:
    rows = []
    # `splitlines` would also split at characters that JSON may contain.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written. NaN is not JSON, but many programs write it.
            row = json.loads(line, parse_int=str, parse_float=str, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{label} is damaged in line {number} ({error}); save it again"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{label} has no object in line {number}; write one in each line")
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
        file = parquet.ParquetFile(io.BytesIO(content))
        _refuse_too_many(file.metadata.num_rows, file.metadata.num_columns, label)
        rows: list[dict[str, Any]] = []
        unpacked = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            unpacked += batch.nbytes
            if unpacked > _MOST_UNPACKED:
                raise InputError(
                    f"{label} holds more than {_MOST_UNPACKED:,} bytes once it is unpacked; leave "
                    "out the columns that hold data"
                )
            rows += batch.to_pylist()
    except InputError:
        raise
    # Text that is not in UTF-8, and dates that Python does not have, are no errors of Arrow.
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{label} is damaged ({error}); save it again") from error
    # pandas stores the index of a data frame in a column with such a name.
    return [{k: v for k, v in row.items() if not k.startswith("__index_level_")} for row in rows]


def _from_objects(rows: Iterable[dict[str, Any]], label: str) -> pd.DataFrame:
    texts = [{name: _text(value) for name, value in row.items()} for row in rows]
    columns = list(dict.fromkeys(name for row in texts for name in row))
    _refuse_too_many(len(texts), len(columns), label)
    _refuse_invalid_text([*columns, *chain.from_iterable(row.values() for row in texts)], label)
    return pd.DataFrame(
        [[row.get(c, "") for c in columns] for row in texts], columns=columns, dtype=str
    )


def _text(value: Any) -> str:
    if value is None or value != value:  # Only NaN differs from itself.
        return ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _with_line_feeds(str(value))


def _with_line_feeds(cell: str) -> str:
    # A single carriage return would end the row in the tables of a run.
    return cell.replace("\r\n", "\n").replace("\r", "\n")
