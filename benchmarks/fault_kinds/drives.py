"""Drives that stall, and drives that no longer answer, also in the middle of a file."""

import builtins
import errno
import io
import os
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import Value
from pathlib import Path
from typing import Any

from fault_kinds.commands import contents, run
from fault_kinds.others import anew, outcome_of, row_of, scenarios
from fault_kinds.trials import Rows, Trials

_FAULTS = ("stalls", "ETIMEDOUT", "ESTALE", "EIO")
_DRIVES = ("photos", "new", "run", "cache")
_SECONDS = 3.0
"""How long a drive stalls."""


class Drive:
    """A folder of which one access to a file or a listing stalls or fails, within this process.

    It patches what Python calls to open, list and ask for files. Libraries that read files by
    themselves, as those of safetensors and SQLite, do not notice it.

    Args:
        folder: On the drive.
        at: Number of the access; None for no fault.
        fault: "stalls", or the name of an error.
    """

    def __init__(self, folder: Path, at: int | None, fault: str) -> None:
        self.folder, self.at, self.fault = folder, at, fault
        self.n_accesses = Value("i", 0)

    def attach(self) -> None:
        """Patches this process."""
        opens = io.open

        def opened(file: Any, mode: str = "r", *details: Any, **named: Any) -> Any:
            if not ("r" in mode and self._has(file)) or not self._is_due():
                return opens(file, mode, *details, **named)
            if self.n_accesses.value % 2 or self.fault == "stalls":
                self._break(file)
                return opens(file, mode, *details, **named)
            half = _Half(file, self._error(file))
            return half if "b" in mode else io.TextIOWrapper(io.BufferedReader(half))

        io.open = builtins.open = opened
        for name in ("stat", "scandir", "listdir"):
            setattr(os, name, self._failing(getattr(os, name)))

    def _failing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: Any = ".", *details: Any, **named: Any) -> Any:
            if self._has(path) and self._is_due():
                self._break(path)
            return function(path, *details, **named)

        return called

    def _has(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        return Path(path).absolute().is_relative_to(self.folder)

    def _is_due(self) -> bool:
        with self.n_accesses.get_lock():
            self.n_accesses.value += 1
            return self.n_accesses.value - 1 == self.at

    def _break(self, path: Any) -> None:
        if self.fault != "stalls":
            raise self._error(path)
        time.sleep(_SECONDS)

    def _error(self, path: Any) -> OSError:
        number = getattr(errno, self.fault)
        return OSError(number, os.strerror(number), os.fspath(path))


class _Half(io.FileIO):
    """A file whose second half cannot be read."""

    def __init__(self, path: Any, error: OSError) -> None:
        super().__init__(path)
        self._left, self._error = os.fstat(self.fileno()).st_size // 2, error

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            raise self._error
        n_bytes = super().readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= n_bytes
        return n_bytes

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or not self._left:
            raise self._error
        data = super().read(min(size, self._left)) or b""
        self._left -= len(data)
        return data

    def readall(self) -> bytes:
        raise self._error


def stalling(trials: Trials) -> Rows:
    """Lets an access to images, a run or the cache stall or fail, then repeats the command."""
    for scenario, start, place, expected in scenarios(trials):
        sizes = {}
        for name in dict.fromkeys((*_DRIVES, scenario.results)):
            drive = Drive(place / name, None, "stalls")
            anew(start, place)
            run(scenario.arguments, place, scenario.app, before=drive.attach)
            if drive.n_accesses.value:
                sizes[name] = drive.n_accesses.value
        counts: Counter[str] = Counter()
        for number in trials.numbers():
            anew(start, place)
            name = list(sizes)[number // len(_FAULTS) % len(sizes)]
            fault = _FAULTS[number % len(_FAULTS)]
            drive = Drive(place / name, trials.rng.randrange(sizes[name]), fault)
            ended = run(scenario.arguments, place, scenario.app, before=drive.attach)
            outcome = outcome_of(ended, place / scenario.results, expected)
            if outcome == "refused" and not ("; " in ended.said and "'" in ended.said):
                outcome = f"no remedy: {ended.said[-200:]}"
            is_left = "not delivered yet" in ended.said
            if is_left:
                outcome = "refused"
            if ended.code or is_left:
                again = run(scenario.arguments, place, scenario.app)
                if again.code and not ("finished run" in again.said or "are in run" in again.said):
                    outcome += f", and the rerun: {again.said[-160:]}"
                elif contents(place / scenario.results) != expected:
                    outcome += ", and other results of the rerun"
            counts[f"{name} {'stalls' if fault == 'stalls' else 'fails'}: {outcome}"] += 1
        yield row_of(scenario.name, counts)
