"""Tables of a benchmark, from its files alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anomalyncd_bench.bootstrap import SCORES
from anomalyncd_bench.results import Plan, read_result
from anomalyncd_bench.table_file import NO_MAPS

TEXT_COLUMNS = ("set", "maps", "method")
"""Columns that hold words; all others hold numbers."""
HEADS = {"nmi": "NMI", "ari": "ARI", "f1": "F1"}
MISSING = "-"
_SOURCES = {
    "zero_shot": "zero-shot maps",
    "normals": "maps with normal images",
    "masks": "true masks in place of maps (upper bound)",
    "given": "given maps",
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it is shown, all cells text."""

    title: str
    frame: pd.DataFrame
    note: str = ""
    best: frozenset[tuple[int, str]] = frozenset()
    """Row and column of what is shown in bold."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a score over seeds."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{score_text(self.mean)} ± {score_text(self.std)}"


class Results:
    """What was measured so far of a plan.

    Args:
        folder: Of the benchmark.

    Raises:
        InputError: There is no plan in it.
    """

    def __init__(self, folder: Path) -> None:
        self.plan = Plan.read(folder)
        read = [(cell, read_result(folder, cell)) for cell in self.plan.cells]
        self.cells = [content for _, content in read if content is not None]
        self.n_missing = len(read) - len(self.cells)
        maps = [read_result(folder, job) for job in self.plan.maps]
        self.maps = [content for content in maps if content is not None]

    @cached_property
    def by_method(self) -> Mapping[tuple[str, str, str], Sequence[Mapping[str, Any]]]:
        """Results over seeds, by set, source and method; those without maps under each source."""
        found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        shown = {str(method["name"]): method["sources"] for method in self.plan.methods}
        for cell in self.cells:
            own = [cell["source"]] if cell["source"] != NO_MAPS else shown[cell["method"]]
            for source in own:
                found.setdefault((cell["set"], source, cell["method"]), []).append(cell)
        return found

    def of(self, set_name: str, source: str, method: str) -> Sequence[Mapping[str, Any]]:
        """Results over seeds; empty where there are none."""
        return self.by_method.get((set_name, source, method), [])

    def spread(self, sets: Sequence[str], source: str, method: str, score: str) -> Spread | None:
        """Of the mean over sets, over the seeds that all of them have; None without any."""
        by_seed = [{one["seed"]: one[score] for one in self.of(s, source, method)} for s in sets]
        seeds = set(by_seed[0]).intersection(*by_seed[1:])
        if not seeds:
            return None
        means = [np.mean([one[seed] for one in by_seed]) for seed in sorted(seeds)]
        return Spread(float(np.mean(means)), float(np.std(means)))

    @property
    def methods(self) -> list[str]:
        """Names, in order."""
        return [str(method["name"]) for method in self.plan.methods]

    @property
    def ours(self) -> list[str]:
        """Names of our estimators."""
        return [str(method["name"]) for method in self.plan.methods if method["ours"]]


def score_text(score: float | None) -> str:
    """Three digits, without the zero before the point, as in the papers."""
    if score is None:
        return MISSING
    return f"{score:.3f}".replace("0.", ".", 1) if abs(score) < 1 else f"{score:.3f}"


def source_words(kind: str, name: str) -> str:
    """What a source of maps is, in words."""
    return f"maps '{name}'" if kind == "given" else _SOURCES[kind]


def score_tables(results: Results) -> Iterable[tuple[str, str, Table]]:
    """For each set and source that has results: set, source, and a row for each method."""
    for one in results.plan.sets:
        for source in results.plan.sources:
            key = (one["name"], source["name"])
            shown = [method for method in results.methods if results.of(*key, method)]
            if shown:
                rows = pd.DataFrame([_method_row(results, *key, method) for method in shown])
                title = f"{one['name']}, {source_words(source['kind'], source['name'])}"
                best = _best(results, [one["name"]], source["name"], shown)
                yield *key, Table(title, rows, _set_note(one, source), best)


def _best(
    results: Results, sets: Sequence[str], source: str, methods: Sequence[str]
) -> frozenset[tuple[int, str]]:
    """Row and column of the highest mean of each score."""
    best = set()
    for score, head in HEADS.items():
        spreads = [results.spread(sets, source, method, score) for method in methods]
        means = [-np.inf if one is None else round(one.mean, 3) for one in spreads]
        best |= {(row, head) for row, mean in enumerate(means) if mean == max(means)}
    return frozenset(best)


def _set_note(one: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    with_normals = f", {one['n_normals']} normal images" if source["with_normals"] else ""
    return f"{one['n_scored']} images of {one['n_classes']} classes{with_normals}."


def _method_row(results: Results, set_name: str, source: str, method: str) -> dict[str, str]:
    seeds = results.of(set_name, source, method)
    scores = {HEADS[s]: str(results.spread([set_name], source, method, s)) for s in SCORES}
    seconds = float(np.median([one["seconds"] for one in seeds]))
    memory = float(np.median([one["peak_memory_mb"] for one in seeds]))
    costs = {
        "seconds": f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}",
        "MB": f"{memory:.0f}",
        "seeds": str(len(seeds)),
    }
    return {"method": method} | scores | costs


def mean_tables(results: Results) -> Iterable[Table]:
    """Means over the categories of a data set, and over all sets of a table."""
    groups: dict[str, list[str]] = {}
    for one in results.plan.sets:
        groups.setdefault(one["group"], []).append(one["name"])
    if len(groups) > 1:
        groups["all sets"] = [one["name"] for one in results.plan.sets]
    for group, names in groups.items():
        for source in results.plan.sources if len(names) > 1 else ():
            rows, shown = [], []
            for method in results.methods:
                spreads = [results.spread(names, source["name"], method, s) for s in SCORES]
                if all(spreads):
                    shown.append(method)
                    scores = zip(HEADS.values(), map(str, spreads), strict=True)
                    rows.append({"method": method} | dict(scores))
            if rows:
                best = _best(results, names, source["name"], shown)
                title = f"{group}, {source_words(source['kind'], source['name'])}, mean"
                yield Table(title, pd.DataFrame(rows), f"Mean over {', '.join(names)}.", best)


def map_table(results: Results) -> Table | None:
    """How well the maps meet the truth."""
    kinds = {source["name"]: source["kind"] for source in results.plan.sources}
    rows = [
        {
            "set": one["set"],
            "maps": one["source"],
            "seed": str(one["seed"]),
            "image AUROC": score_text(one["image_auroc"]),
            "pixel AUROC": score_text(one["pixel_auroc"]),
            "AUPRO": score_text(one["aupro"]),
            "seconds": f"{one['seconds']:.0f}" if "seconds" in one else MISSING,
        }
        for one in results.maps
        if one["source"] in kinds
    ]
    note = (
        "AUPRO up to a false positive rate of .3. Seconds include reading what is not cached yet."
    )
    return Table("The maps", pd.DataFrame(rows), note) if rows else None
