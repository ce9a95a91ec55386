"""Our estimators beside the best baseline, and beside the scores that the papers published."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from anomalyncd_bench.published import PUBLISHED, ROWS, PublishedRow
from anomalyncd_bench.report.bootstrap import SCORES, Difference, paired_differences
from anomalyncd_bench.report.tables import HEADS, MISSING, Table
from anomalyncd_bench.results import Results, Spread, from_text, score_text

_WHAT = "NMI / ARI / F1"
_NOTE = (
    "Published: as the papers print it, with their backbone and their maps. Measured here: our own "
    "implementation on the backbone and the maps of this benchmark, mean over seeds."
)


def differences(results: Results) -> Table | None:
    """Each of our estimators minus the best baseline in each score, with intervals."""
    rows = []
    for one in results.plan.sets:
        for source in results.plan.sources:
            for ours in results.methods("ours"):
                row = _difference_row(results, one, source["name"], ours)
                if row is not None:
                    rows.append(row)
    note = (
        "The best baseline has the highest mean over seeds in that score. In brackets 95 % of "
        "1,000 resamples of the images, the same for both methods, scores averaged over seeds. "
        "Photographs of one part, where their names tell, are drawn together."
    )
    return Table("Ours minus the best baseline", pd.DataFrame(rows), note) if rows else None


def _difference_row(
    results: Results, one: Mapping[str, Any], source: str, ours: str
) -> dict[str, str] | None:
    set_name = str(one["name"])
    measured = results.of(set_name, source, ours)
    if not measured:
        return None
    row = {"set": set_name, "maps": source, "method": ours}
    for score in SCORES:
        best, highest = None, -np.inf
        for baseline in results.methods("baseline"):
            spread = results.spread([set_name], source, baseline, score)
            if spread is not None and spread.mean > highest:
                best, highest = baseline, spread.mean
        if best is None:
            return None
        others = results.of(set_name, source, best)
        difference = _compared(measured, others, one.get("parts"))[score]
        row[HEADS[score]] = f"{_difference_text(difference)} ({best})"
    return row


def _compared(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], parts: str | None
) -> dict[str, Difference]:
    """Differences of two methods from their results over seeds, see `paired_differences`."""
    true = from_text(first[0]["true_classes"])
    ours, others = ([from_text(one["classes"]) for one in results] for results in (first, second))
    return paired_differences(true, ours, others, from_text(parts) if parts else None)


def _difference_text(difference: Difference) -> str:
    """Difference and interval, signed."""
    mean, low, high = (
        ("+" if value >= 0 else "") + score_text(value)
        for value in (difference.mean, difference.low, difference.high)
    )
    return f"{mean} [{low}, {high}]"


def published_tables(results: Results) -> Iterator[Table]:
    """One table for each set, and each data set, with published scores."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in results.plan.sets:
        if one["published"] is not None:
            groups.setdefault(str(one["published"]), []).append(one)
    for published, sets in groups.items():
        for one in sets:
            if one["category"] in PUBLISHED and one["category"] != published:
                yield _published_table(results, str(one["category"]), [str(one["name"])])
        yield _published_table(results, published, [str(one["name"]) for one in sets])


def _published_table(results: Results, published: str, sets: Sequence[str]) -> Table:
    rows = [
        _published_row(row.name, row.scores[published], _measured(results, row, sets))
        for row in ROWS
        if published in row.scores
    ]
    rows += [
        _published_row(f"{ours}, {source['name']}", None, spreads)
        for ours in results.methods("ours")
        for source in results.plan.sources
        if (spreads := _spreads(results, sets, source["name"], ours)) is not None
    ]
    over = PUBLISHED[published]
    averaged = f" Published: {over}; here: mean over {', '.join(sets)}." if over else ""
    return Table(f"Published and measured: {published}", pd.DataFrame(rows), _NOTE + averaged)


def _measured(results: Results, row: PublishedRow, sets: Sequence[str]) -> Sequence[Spread] | None:
    """Scores of our implementation of a published method."""
    for source in results.plan.sources:
        if source["kind"] == row.kind:
            for method in results.plan.methods:
                name = f"{method['method']} {method['preset'] or ''}".strip()
                if name == row.method and not method["config"]:
                    return _spreads(results, sets, source["name"], method["name"])
    return None


def _spreads(
    results: Results, sets: Sequence[str], source: str, method: str
) -> Sequence[Spread] | None:
    spreads = [results.spread(sets, source, method, score) for score in SCORES]
    return [one for one in spreads if one is not None] if all(spreads) else None


def _published_row(
    name: str, published: Sequence[float] | None, measured: Sequence[Spread] | None
) -> dict[str, str]:
    return {
        "method": name,
        f"published {_WHAT}": _joined(published),
        f"measured here {_WHAT}": _joined([one.mean for one in measured or ()]),
        "±": _joined([one.std for one in measured or ()]),
    }


def _joined(scores: Sequence[float] | None) -> str:
    return " / ".join(map(score_text, scores)) if scores else MISSING
