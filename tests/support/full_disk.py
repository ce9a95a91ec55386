"""A disk on which nothing more can be written, for the length of a block."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anomalyncd.io.writing import writing


@contextmanager
def no_room(n_bytes: int = 0) -> Iterator[None]:
    """Limits the size of all files that are written within; no administrator is needed for it."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fail_write(patch: pytest.MonkeyPatch, number: int | None) -> list[Path]:
    """Lets one of the writes of a command find no room; returns the list of what is written.

    Args:
        patch: Undoes it.
        number: Which one, from 0; None lets all of them succeed.
    """
    written: list[Path] = []
    original = writing

    @contextmanager
    def counted(path: Path) -> Iterator[None]:
        written.append(path)
        with original(path):
            if len(written) - 1 != number:
                yield
                return
            with no_room():
                yield

    for module in list(sys.modules.values()):
        if getattr(module, "writing", None) is original:
            patch.setattr(module, "writing", counted)
    return written
