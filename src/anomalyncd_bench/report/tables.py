"""Tables of scores, from the results of a benchmark alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from anomalyncd_bench.report.bootstrap import SCORES
from anomalyncd_bench.results import Results, score_text
from anomalyncd_bench.studies.registry import MEASURES

TEXT_COLUMNS = ("set", "maps", "method")
"""Columns with words; all others contain numbers."""
HEADS = {"nmi": "NMI", "ari": "ARI", "f1": "F1"}
MISSING = "-"
CLASSES = ("baseline", "ours", "reference")
"""Roles of the methods that find classes."""
_SOURCES = {
    "zero_shot": "zero-shot maps",
    "normals": "maps with normal images",
    "masks": "true masks in place of maps (upper bound)",
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it is shown; all its values are text."""

    title: str
    frame: pd.DataFrame
    note: str = ""
    best: frozenset[tuple[int, str]] = frozenset()
    """Row and column of the values in bold."""


def source_words(source: Mapping[str, Any]) -> str:
    """A map source in words."""
    kind, name = source["kind"], source["name"]
    return _SOURCES[kind] if name == kind else f"maps '{name}'"


def score_tables(results: Results) -> Iterator[tuple[str, str, Table]]:
    """For each set and source with results: set, source, and a row for each method."""
    for one in results.plan.sets:
        for source in results.plan.sources:
            place = (one["name"], source["name"])
            shown = [name for name in results.methods(*CLASSES) if results.of(*place, name)]
            if shown:
                rows = pd.DataFrame([_method_row(results, *place, method) for method in shown])
                title = f"{one['name']}, {source_words(source)}"
                best = _best(results, [one["name"]], source["name"], shown)
                yield *place, Table(title, rows, _set_note(one, source), best)


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


def mean_tables(results: Results) -> Iterator[Table]:
    """Means over the categories of a data set, and over all sets of a table."""
    groups: dict[str, list[str]] = {}
    for one in results.plan.sets:
        groups.setdefault(one["group"], []).append(one["name"])
    if len(groups) > 1:
        groups["all sets"] = [one["name"] for one in results.plan.sets]
    for group, names in groups.items():
        for source in results.plan.sources if len(names) > 1 else ():
            rows, shown = [], []
            for method in results.methods(*CLASSES):
                spreads = [results.spread(names, source["name"], method, s) for s in SCORES]
                if all(spreads):
                    shown.append(method)
                    scores = zip(HEADS.values(), map(str, spreads), strict=True)
                    rows.append({"method": method} | dict(scores))
            if rows:
                best = _best(results, names, source["name"], shown)
                title = f"{group}, {source_words(source)}, mean"
                yield Table(title, pd.DataFrame(rows), f"Mean over {', '.join(names)}.", best)


def measure_tables(results: Results) -> Iterator[Table]:
    """What the studies that find no classes have measured: a row for each set, source and seed."""
    for method in results.plan.methods:
        if method["role"] == "measure":
            measure = MEASURES[method["method"]]
            rows = [
                {"set": one["set"], "maps": one["source"], "seed": str(one["seed"])}
                | measure.row(one)
                for one in results.measured
                if one["method"] == method["name"]
            ]
            if rows:
                yield Table(measure.title, pd.DataFrame(rows), measure.note)


def map_table(results: Results) -> Table | None:
    """How well the maps agree with the true masks."""
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
    ]
    note = (
        "AUPRO up to a false positive rate of .3. Seconds include reading what is not cached yet."
    )
    return Table("The maps", pd.DataFrame(rows), note) if rows else None
