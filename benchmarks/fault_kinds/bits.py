"""Damaged files: single bits turned around in headers and at random, cuts, and zeros."""

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_kinds.commands import DISCOVER, SCENARIOS, Ended, contents, run
from fault_kinds.trials import Rows, Trials


@dataclass(frozen=True)
class Read:
    """Files that a command reads."""

    name: str
    before: tuple[tuple[str, ...], ...]
    arguments: tuple[str, ...]
    results: str
    files: str
    """Pattern of the files, relative to the working folder."""
    stopped_at: str = ""
    """The command is killed once it has made this file, and goes on from there."""


WATCH = next(one for one in SCENARIOS if one.name == "watch").arguments
PREDICT = ("predict", "run", "new", "--out", "predicted")
READS = (
    Read("model", (DISCOVER,), PREDICT, "predicted", "run/model/*"),
    Read("cache", (DISCOVER,), (*DISCOVER, "--overwrite"), "run", "cache/*/*"),
    Read("checkpoint", (), DISCOVER, "run", "run/checkpoint/*", "checkpoint/made_from.json"),
    Read("maps", (), DISCOVER, "run", "run/maps/**/*.*", "checkpoint/made_from.json"),
    Read("run", (DISCOVER,), ("correct", "run"), "run", "run/*.*"),
    Read("labels", (DISCOVER, ("labels", "edit", "run", "1", "--name", "stain")),
         ("labels", "show", "run"), "run", "run/labels.sqlite"),
    Read("watched", (DISCOVER, WATCH), WATCH, "watched", "watched/results.*"),
)  # fmt: skip


def try_all(trials: Trials) -> Rows:
    """Damages the files of each kind again and again."""
    for read in trials.on(READS):
        yield _try(read, trials)


def _try(read: Read, trials: Trials) -> dict[str, Any]:
    start, place = (trials.work / read.name / one for one in ("start", "place"))
    shutil.copytree(trials.made, place)
    for arguments in read.before:
        _succeed(run(arguments, place))
    if read.stopped_at:
        run(read.arguments, place, stop_at=read.stopped_at)
    shutil.copytree(place, start)
    files = sorted(path.relative_to(place) for path in place.glob(read.files) if path.is_file())
    if not files:
        raise SystemExit(f"no file {read.files}")
    _succeed(run(read.arguments, place))
    expected = contents(place / read.results)
    counts: Counter[str] = Counter()
    for number in trials.numbers():
        shutil.rmtree(place)
        shutil.copytree(start, place)
        damaged = files[number % len(files)]
        how = damage(place / damaged, number // len(files), trials.rng)
        ended = run(read.arguments, place)
        outcome = _outcome(read, place, expected, ended)
        if read.name == "watched" or outcome in ("same", "made again", "refused"):
            counts[outcome] += 1
        else:
            counts[f"{outcome} {damaged} ({how}) {ended.said[-300:] if ended.code else ''}"] += 1
    n_good = sum(counts[one] for one in ("same", "made again", "refused"))
    return {
        "what": read.name,
        "tries": counts.total(),
        "good": n_good,
        "outcomes": dict(counts),
    }


def _succeed(ended: Ended) -> None:
    if ended.code:
        raise SystemExit(ended.said)


def damage(path: Path, number: int, rng: random.Random) -> str:
    """Turns one bit around; now and then cuts the file off, or fills its end with zeros."""
    content = bytearray(path.read_bytes())
    if not content:
        return "empty"
    if number % 8 == 6:
        at = rng.randrange(len(content))
        path.write_bytes(content[:at] if number % 16 == 6 else b"")
        return f"cut off at {at if number % 16 == 6 else 0} of {len(content)}"
    if number % 8 == 7:
        at = rng.randrange(len(content)) if number % 16 == 7 else 0
        path.write_bytes(content[:at] + bytes(len(content) - at))
        return f"zeros from {at} of {len(content)}"
    # The first bytes one after the other by turns with any byte: a header has the most to say.
    at = number % len(content) if number % 2 else rng.randrange(len(content))
    content[at] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return f"bit of byte {at} of {len(content)}"


def _outcome(read: Read, place: Path, expected: dict[str, bytes], ended: Ended) -> str:
    if ended.is_refused:
        return "refused" if "; " in ended.said else "no remedy"
    if ended.code:
        return "traceback"
    try:
        same = contents(place / read.results) == expected
    except Exception:
        same = False
    if same:
        return "same"
    return "other results"
