"""The papers' tables, with our own measurements beside the published ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from anomalyncd.evaluation.bench.bootstrap import SCORES
from anomalyncd.evaluation.bench.published import PUBLISHED, ROWS, PublishedRow, Scores
from anomalyncd.evaluation.bench.tables import MISSING, Results, Spread, Table, score_text

_WHAT = "NMI / ARI / F1"
_NOTE = (
    "Published: as the papers print it, with their backbone and their maps. Measured here: our own "
    "implementation on the backbone and the maps of this benchmark, mean over seeds."
)


def published_tables(results: Results) -> Iterable[Table]:
    """One table for each set, and each data set, that has published scores."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in results.plan.sets:
        if one["published"] is not None:
            groups.setdefault(str(one["published"]), []).append(one)
    for published, sets in groups.items():
        names = [str(one["name"]) for one in sets]
        for one in sets:
            if one["category"] in PUBLISHED and one["category"] != published:
                yield from _table(results, str(one["category"]), [str(one["name"])])
        yield from _table(results, published, names)


def _table(results: Results, published: str, sets: Sequence[str]) -> Iterable[Table]:
    rows = [
        _row(row.name, row.scores.get(published), _measured(results, row, sets))
        for row in ROWS
        if published in row.scores
    ]
    rows += [
        _row(f"{ours}, {source['name']}", None, spreads)
        for ours in results.ours
        for source in results.plan.sources
        if (spreads := _spreads(results, sets, source["name"], ours)) is not None
    ]
    meant = PUBLISHED[published]
    averaged = f" Published: {meant}; here: mean over {', '.join(sets)}." if meant else ""
    yield Table(f"Published and measured: {published}", pd.DataFrame(rows), _NOTE + averaged)


def _measured(results: Results, row: PublishedRow, sets: Sequence[str]) -> Sequence[Spread] | None:
    for source in results.plan.sources:
        if source["kind"] != row.source:
            continue
        for method in results.plan.methods:
            meant = f"{method['method']} {method['preset'] or ''}".strip()
            if meant == row.method and not method["settings"]:
                return _spreads(results, sets, source["name"], method["name"])
    return None


def _spreads(
    results: Results, sets: Sequence[str], source: str, method: str
) -> Sequence[Spread] | None:
    spreads = [results.spread(sets, source, method, score) for score in SCORES]
    return [one for one in spreads if one is not None] if all(spreads) else None


def _row(name: str, published: Scores | None, measured: Sequence[Spread] | None) -> dict[str, str]:
    printed = here = spread = MISSING
    if published is not None:
        printed = " / ".join(score_text(one) for one in published)
    if measured is not None:
        here = " / ".join(score_text(one.mean) for one in measured)
        spread = " / ".join(score_text(one.std) for one in measured)
    return {
        "method": name,
        f"published {_WHAT}": printed,
        f"measured here {_WHAT}": here,
        "±": spread,
    }
