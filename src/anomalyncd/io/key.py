"""One key for everything that is kept: a digest of all that a result depends on."""

import hashlib
from contextlib import suppress
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import unreadable
from anomalyncd.io.files import files_by_name
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.io.tensors import is_module, is_tensor
from anomalyncd.io.writing import remove_temporary

_RECORD = "made_from.json"


def key(*things: Any) -> str:
    """Hashes whole objects, so that no field on which a result depends can be forgotten.

    Args:
        things: Files (by size and time of the last change), folders (by name), arrays and tensors
            (by content), tables,
            modules (by their weights), dataclasses (by name and all fields), mappings, sequences,
            and plain values. Objects of other types are refused.

    Returns:
        32 hexadecimal digits.

    Raises:
        TypeError: The content of an object is not known to be comparable.
    """
    sha = hashlib.sha256()
    _add(sha, things)
    return sha.hexdigest()[:32]


def key_of_version(*things: Any) -> str:
    """Returns a key as `key` does, which is another one in each version of anomalyncd.

    What is kept for later runs has such a key: another version may compute it in another way.
    """
    return key(version("anomalyncd"), *things)


def _add(sha: Any, thing: Any) -> None:
    if isinstance(thing, Path) and thing.is_dir():
        sha.update(f"folder {thing} ".encode())
    elif isinstance(thing, Path):
        state = thing.stat()
        sha.update(f"file {state.st_size} {state.st_mtime_ns} ".encode())
    elif is_tensor(thing):
        import torch

        tensor = thing.detach().cpu().contiguous()
        sha.update(f"tensor {tuple(tensor.shape)} {tensor.dtype} ".encode())
        sha.update(tensor.view(-1).view(torch.uint8).numpy().data)
    elif isinstance(thing, np.ndarray):
        sha.update(f"array {thing.shape} {thing.dtype} ".encode() + thing.tobytes())
    elif isinstance(thing, pd.DataFrame):
        _add(sha, thing.to_csv())
    elif is_module(thing):
        _add(sha, dict(thing.state_dict()))
    elif is_dataclass(thing) and not isinstance(thing, type):
        _add(sha, type(thing).__name__)
        _add(sha, {one.name: getattr(thing, one.name) for one in fields(thing)})
    elif isinstance(thing, dict):
        sha.update(f"{len(thing)} entries ".encode())
        for name, value in thing.items():
            _add(sha, str(name))
            _add(sha, value)
    elif isinstance(thing, list | tuple):
        sha.update(f"{len(thing)} items ".encode())
        for item in thing:
            _add(sha, item)
    elif thing is None or isinstance(thing, str | bytes | bool | int | float | np.generic):
        sha.update(f"{type(thing).__name__} {thing!r} ".encode())
    else:
        raise TypeError(f"objects of type {type(thing).__name__} have no key")


def content_digest(image: Path | np.ndarray) -> str:
    """SHA-256 of the bytes of an image file, or the key of an image in memory.

    Raises:
        InputError: The file cannot be read.
    """
    if not isinstance(image, Path):
        return key(image)
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(image, "image", error) from error


def keep_only_files_of(made_from: str, folder: Path, suffixes: frozenset[str], what: str) -> None:
    """Deletes the files of a folder that were made from something else, and half-written ones.

    Args:
        made_from: Key of everything that the files depend on; it is written beside them.
        folder: Where the files lie.
        suffixes: Suffixes of the files, with the dot.
        what: What a file is, for messages: "map", "mask".

    Raises:
        InputError: See `refuse_foreign_files`.
    """
    record = folder / _RECORD
    remove_temporary(folder)
    with suppress(InputError):  # A damaged record tells nothing.
        if record.is_file() and read_json(record, f"{what}s") == {"key": made_from}:
            return
    for path in refuse_foreign_files(folder, suffixes, what).values():
        path.unlink()
    write_json(record, {"key": made_from})


def refuse_foreign_files(folder: Path, suffixes: frozenset[str], what: str) -> dict[str, Path]:
    """Returns the files of a folder, which may not exist, by name; see `keep_only_files_of`.

    Raises:
        InputError: The folder holds such files without a record of what they were made from.
    """
    present = files_by_name(folder, suffixes, what) if folder.is_dir() else {}
    if present and not (folder / _RECORD).is_file():
        raise InputError(
            f"'{next(iter(present.values()))}' was not made by this command and would be taken for "
            f"one of its {what}s; give a folder without {what}s"
        )
    return present
