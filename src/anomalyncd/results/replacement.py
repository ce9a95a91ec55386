"""Results that replace earlier ones, all of them or none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomalyncd.io.lock import exclusive
from anomalyncd.io.writing import remove_abandoned, workshop, writing

PENDING = ".pending"
"""Folder in a run folder that holds new results, complete, until they are in place."""


@contextmanager
def replace_together(folder: Path) -> Iterator[Path]:
    """Gives an empty folder; the files and folders written into it replace those of the same names.

    All are replaced or none: once everything is written, the folder gets the name `PENDING`, and
    `finish_replacement` puts its content in place, now or, after an interruption, later.

    Args:
        folder: The run folder.
    """
    with exclusive(folder):
        finish_replacement(folder)
        remove_abandoned(folder)
        with workshop(folder) as hidden:
            new = hidden / "new"
            new.mkdir()
            yield new
            new.rename(folder / PENDING)
        finish_replacement(folder)


def finish_replacement(folder: Path) -> None:
    """Puts in place what an interrupted `replace_together` had written completely."""
    pending = folder / PENDING
    if not pending.is_dir():
        return
    with exclusive(folder), writing(folder):
        for entry in sorted(pending.iterdir()) if pending.is_dir() else ():
            move(entry, folder / entry.name)
        if pending.is_dir():
            pending.rmdir()


def move(source: Path, target: Path) -> None:
    """Puts something new in the place of what is there; without it the place is empty."""
    if not (source.is_file() and target.is_file()):
        remove(target)
    if source.exists():
        source.replace(target)


def remove(path: Path) -> None:
    """Deletes a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
