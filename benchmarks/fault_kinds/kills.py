"""Power cuts: each command is killed at random moments, then called again."""

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fault_kinds.commands import SCENARIOS, Ended, Scenario, contents, run, torn
from fault_kinds.trials import Rows, Trials


def try_all(trials: Trials) -> Rows:
    """Kills each command again and again."""
    for scenario in trials.on(SCENARIOS):
        yield _try(scenario, trials)


def _try(scenario: Scenario, trials: Trials) -> dict[str, Any]:
    start, place = prepared(scenario, trials)
    shutil.copytree(start, place)
    undisturbed = run(scenario.arguments, place, scenario.app)
    if undisturbed.code:
        raise SystemExit(f"{scenario.arguments} failed: {undisturbed.said}")
    expected = contents(place / scenario.results)
    wrong: Counter[str] = Counter()
    n_tries = n_killed = n_good = 0
    for number in trials.numbers():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(start, place)
        ended = _killed(scenario, place, undisturbed, number, trials.rng)
        n_tries += 1
        n_killed += ended.code == -9
        faults = _faults(scenario, place, expected)
        n_good += not faults
        wrong.update(faults)
    return {
        "what": scenario.name,
        "tries": n_tries,
        "killed": n_killed,
        "good": n_good,
        "seconds": round(undisturbed.seconds, 2),
        "changes": undisturbed.n_changes,
        "wrong": dict(wrong.most_common(12)),
    }


def prepared(scenario: Scenario, trials: Trials) -> tuple[Path, Path]:
    """A folder in which everything is as it is before a command, and where it has to be copied.

    The second one is where it was made, since tables name the paths of images.
    """
    start, place = (trials.work / scenario.name / one for one in ("start", "place"))
    shutil.copytree(trials.made, place)
    for arguments in scenario.before:
        ended = run(arguments, place)
        if ended.code:
            raise SystemExit(f"{arguments} failed: {ended.said}")
    place.rename(start)
    return start, place


def _killed(
    scenario: Scenario, place: Path, undisturbed: Ended, number: int, rng: random.Random
) -> Ended:
    if number % 2:
        after = rng.uniform(0, undisturbed.seconds)
        return run(scenario.arguments, place, scenario.app, after=after)
    change = rng.randrange(undisturbed.n_changes)
    return run(scenario.arguments, place, scenario.app, at_change=change)


def _faults(scenario: Scenario, place: Path, expected: dict[str, bytes]) -> list[str]:
    """What is wrong after a kill, and after the same command again."""
    results = place / scenario.results
    faults = [f"torn {one}" for one in torn(results)] if results.exists() else []
    for path in place.rglob(".*"):  # As if two hours had gone by.
        os.utime(path, (time.time() - 7200,) * 2)
    again = run(scenario.arguments, place, scenario.app)
    if again.code and "holds a finished run" in again.said:
        again = run(("report", "run"), place)
    if scenario.name == "grow" and again.code and "are in run" in again.said:
        again = run(("report", "run"), place)
    if again.code:
        return [*faults, f"again: {again.said[-200:]}"]
    faults += [f"torn afterwards {one}" for one in torn(results)]
    found = contents(results)
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            kind = "another" if name in found and name in expected else "more or less of"
            faults.append(f"{kind} {name}")
    return faults + [f"left {one}" for one in _rubbish(place)]


def _rubbish(place: Path) -> set[str]:
    """Kinds of hidden files that are left, apart from locks and from the cache.

    The cache counts them among its files and deletes the oldest.
    """
    left = set()
    for path in place.rglob(".*"):
        if not path.name.endswith(".lock") and not path.is_relative_to(place / "cache"):
            folder = path.parent.relative_to(place).as_posix()
            length = len(path.stem)
            left.add(f"{folder}/.{'*' * (length > 30) or path.name[:9]}{path.suffix[:12]}")
    return left
