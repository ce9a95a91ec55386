"""Files that are kept for a later run, with a record of what they were made from."""

from pathlib import Path
from typing import Any

from anomalyncd.data.files import files_by_name
from anomalyncd.data.json_files import read_json, write_json
from anomalyncd.errors import InputError

_RECORD = "made_from.json"


def keep_only_files_of(
    origin: dict[str, Any], folder: Path, suffixes: frozenset[str], what: str
) -> bool:
    """Deletes the files of a folder that were made from something else than what is given.

    Args:
        origin: Everything that the files depend on, as JSON can say it, with tuples for lists.
        folder: Where they lie; a record is written beside them.
        suffixes: Of the files.
        what: What a file is, for messages: "map", "mask".

    Returns:
        Whether those that are there were made from just this.

    Raises:
        InputError: The folder holds such files that were not made here.
    """
    record = folder / _RECORD
    if record.is_file() and read_json(record, f"{what}s") == origin:
        return True
    present = files_by_name(folder, suffixes, what) if folder.is_dir() else {}
    if present and not record.is_file():
        raise InputError(
            f"'{next(iter(present.values()))}' was not made here and would be taken for a {what} "
            f"that was; give a folder without {what}s"
        )
    for path in present.values():
        path.unlink()
    write_json(record, origin)
    return False
