"""Little memory, folders that vanish, drives that stall, clocks set back, and two at once."""

import ctypes
import json
import os
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fault_kinds.commands import (
    DISCOVER,
    SCENARIOS,
    Ended,
    Scenario,
    contents,
    run,
    save,
    torn,
)
from fault_kinds.kills import prepared
from fault_kinds.trials import Rows, Trials


def too_little_memory(trials: Trials) -> Rows:
    """Limits the address space to a little more than what is used at the start."""

    def limited(megabytes: float) -> Callable[[], object]:
        def limit() -> None:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            ctypes.CDLL(None).malloc_trim(0)
            n_bytes = used + int(megabytes * 1e6)
            resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))

        return limit

    large = Scenario("predict", ("predict", "run", "large", "--out", "predicted"), (DISCOVER,))
    chosen = (replace(large, results="predicted"), SCENARIOS[0])
    for scenario, start, place, expected in scenarios(trials, chosen):
        counts: Counter[str] = Counter()
        for _ in trials.numbers():
            anew(start, place)
            megabytes = 4 ** trials.rng.uniform(1, 4.5)
            ended = run(scenario.arguments, place, scenario.app, before=limited(megabytes))
            outcome = outcome_of(ended, place / scenario.results, expected)
            if outcome == "refused" and "memory" not in ended.said:
                outcome = f"another cause named: {ended.said[-160:]}"
            again = run(scenario.arguments, place, scenario.app) if ended.code else ended
            if outcome_of(again, place / scenario.results, expected) != "same":
                outcome += f", and the rerun: {again.said[-160:]}"
            counts[outcome] += 1
        yield row_of(scenario.name, counts)


def vanishing(trials: Trials) -> Rows:
    """Takes a folder away, or all rights to it, when a command is about to change some file."""
    for scenario, start, place, expected in scenarios(trials):
        counts: Counter[str] = Counter()
        n_changes = run(scenario.arguments, place, scenario.app).n_changes
        for number in trials.numbers():
            anew(start, place)
            lost = ("photos" if scenario.arguments[0] == "discover" else "new", scenario.results)
            target = place / lost[number % 2]
            if scenario.name == "bench":
                target = place / ("photos", scenario.results)[number % 2]
            hidden = place / "away"

            def vanish(target: Path = target, hidden: Path = hidden) -> None:
                if target.exists():
                    target.rename(hidden)

            ended = run(
                scenario.arguments,
                place,
                scenario.app,
                at_change=trials.rng.randrange(n_changes),
                at_change_do=vanish,
            )
            name = "results" if target == place / scenario.results else "images"
            outcome = outcome_of(ended, place / scenario.results, expected)
            if "not delivered yet" in ended.said:
                outcome = "refused"
            if hidden.exists():  # The drive is back, as it was.
                if target.exists():
                    shutil.rmtree(target)
                hidden.rename(target)
                again = run(scenario.arguments, place, scenario.app)
                if again.code and not ("finished run" in again.said or "are in run" in again.said):
                    outcome += f", and the rerun: {again.said[-160:]}"
                elif torn(place / scenario.results):
                    outcome += ", torn"
                elif scenario.name == "watch" and contents(place / scenario.results) != expected:
                    outcome += ", and other results of the rerun"
            counts[f"{name}: {outcome}"] += 1
        yield row_of(scenario.name, counts)


def two_at_once(trials: Trials) -> Rows:
    """Starts a command a second time while it runs."""
    for scenario, start, place, expected in scenarios(trials):
        counts: Counter[str] = Counter()
        for _ in trials.numbers():
            anew(start, place)
            child = os.fork()
            if child == 0:
                try:
                    time.sleep(trials.rng.uniform(0, 1))
                    first = run(scenario.arguments, place, scenario.app, log="other")
                    (place / "other.json").write_text(json.dumps([first.code, first.said]))
                finally:
                    os._exit(0)
            second = run(scenario.arguments, place, scenario.app)
            os.waitpid(child, 0)
            code, said = json.loads((place / "other.json").read_text())
            first = Ended(code, 0, 0, said)
            faults = [one for one in (first, second) if one.code and not one.is_refused]
            if faults:
                outcome = f"traceback: {faults[0].said[-200:]}"
            elif contents(place / scenario.results) != expected:
                outcome = f"other results {first.said[-200:]} {second.said[-200:]}"
            else:
                outcome = "same"
            counts[outcome] += 1
        yield row_of(scenario.name, counts)


def scenarios(
    trials: Trials, chosen: tuple[Scenario, ...] = SCENARIOS
) -> Iterator[tuple[Scenario, Path, Path, dict[str, bytes]]]:
    """Each command, its folder before it, where to copy that, and what it writes undisturbed."""
    for scenario in trials.on(chosen):
        save(trials.made / "large" / "large.png", np.full((4000, 4000, 3), 120, np.uint8))
        start, place = prepared(scenario, trials)
        shutil.copytree(start, place)
        ended = run(scenario.arguments, place, scenario.app)
        if ended.code:
            raise SystemExit(ended.said)
        expected = contents(place / scenario.results)
        anew(start, place)
        yield scenario, start, place, expected


def anew(start: Path, place: Path) -> None:
    shutil.rmtree(place)
    shutil.copytree(start, place)


def outcome_of(ended: Ended, results: Path, expected: dict[str, bytes]) -> str:
    if ended.is_refused:
        return "refused"
    if ended.code:
        how = f"signal {-ended.code}" if ended.code < 0 else "traceback"
        return f"{how}: {' '.join(ended.said.split())[-240:]}"
    return "same" if contents(results) == expected else "other results"


def row_of(name: str, counts: Counter[str]) -> dict[str, Any]:
    good = sum(count for one, count in counts.items() if one.split(": ")[-1] in ("same", "refused"))
    return {
        "what": name,
        "tries": counts.total(),
        "good": good,
        "outcomes": dict(counts.most_common(9)),
    }
