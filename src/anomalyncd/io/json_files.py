"""Strict JSON files, which can hold infinite floats and are never left half written."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from anomalyncd.errors import InputError
from anomalyncd.io.writing import write_atomically

# Infinity and NaN are not numbers in JSON, and a plain text could be the name of an image.
_FLOAT = "float"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes dictionaries, lists, tuples, numbers, paths and text.

    A float that JSON does not have becomes an object, for instance `{"float": "inf"}`.
    """
    text = json.dumps(_encodable(content), indent=2, ensure_ascii=False, allow_nan=False)
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Reads a file of `write_json`; its lists become tuples.

    Args:
        path: The file.
        what: What the file is, for messages: "model", "run".

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        content = _restored(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(
            f"{what} '{path.parent}' lacks the file {path.name}; copy it again with all its files"
        ) from error
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{what} file '{path}' is damaged ({error}); make it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{what} file '{path}' is damaged (no object); make it again")
    return content


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: str(value)}
    return str(value) if isinstance(value, Path) else value


def _restored(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {_FLOAT}:
        return float(value[_FLOAT])
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_restored(item) for item in value)
    return value
