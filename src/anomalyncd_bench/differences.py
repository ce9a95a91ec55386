"""Our estimators against the best of the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from anomalyncd_bench.bootstrap import (
    SCORES,
    Difference,
    paired_differences,
)
from anomalyncd_bench.results import from_text
from anomalyncd_bench.tables import (
    HEADS,
    Results,
    Table,
    score_text,
)


def differences(results: Results) -> Table | None:
    """Each of our estimators minus the best rival in each score, with intervals."""
    rows = []
    for one in results.plan.sets:
        for source in results.plan.sources:
            for ours in results.ours:
                row = _difference_row(results, one["name"], source["name"], ours)
                if row is not None:
                    rows.append(row)
    note = (
        "The best rival is that with the highest mean over seeds in that score. In brackets 95 % "
        "of 1,000 resamples of the images, the same for both methods, scores averaged over seeds."
    )
    return Table("Ours minus the best rival", pd.DataFrame(rows), note) if rows else None


def _difference_row(
    results: Results, set_name: str, source: str, ours: str
) -> dict[str, str] | None:
    own = results.of(set_name, source, ours)
    if not own:
        return None
    row = {"set": set_name, "maps": source, "method": ours}
    for score in SCORES:
        best, highest = None, -np.inf
        for baseline in results.methods:
            spread = results.spread([set_name], source, baseline, score)
            if baseline not in results.ours and spread is not None and spread.mean > highest:
                best, highest = baseline, spread.mean
        if best is None:
            return None
        apart = compared(own, results.of(set_name, source, best))[score]
        row[HEADS[score]] = f"{difference_text(apart)} ({best})"
    return row


def compared(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> dict[str, Difference]:
    """Differences of two methods from their results over seeds, see `paired_differences`."""
    true = from_text(first[0]["true_classes"])
    own, other = ([from_text(one["classes"]) for one in results] for results in (first, second))
    return paired_differences(true, own, other)


def difference_text(apart: Difference) -> str:
    """Difference and interval, signed."""
    mean, low, high = (
        ("+" if one >= 0 else "") + score_text(one) for one in (apart.mean, apart.low, apart.high)
    )
    return f"{mean} [{low}, {high}]"
