"""Scores that the papers published, to stand beside ours and never among them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd_bench.bootstrap import SCORES
from anomalyncd_bench.table_file import SetEntry
from anomalyncd_bench.tables import (
    MISSING,
    Results,
    Spread,
    Table,
    score_text,
)

Scores: TypeAlias = tuple[float, float, float]
"""NMI, ARI and F1."""


@dataclass(frozen=True)
class PublishedRow:
    """A method of the papers' table."""

    name: str
    source: Literal["zero_shot", "normals"]
    """What it knows: the images alone, or normal images as well."""
    method: str | None
    """What we have of it, by the name and, after a blank, the preset; None for nothing."""
    scores: dict[str, Scores]
    """By the names in `PUBLISHED`."""


_MVTEC, _MTD = "MVTec AD", "MTD"
PUBLISHED = {_MVTEC: "mean over 15 categories", _MTD: "", "bottle": "", "pill": ""}
"""Sets with published scores, and what to know of them."""


def _published(
    name: str,
    source: Literal["zero_shot", "normals"],
    method: str | None,
    mvtec: Scores,
    mtd: Scores | None,
    **categories: Scores,
) -> PublishedRow:
    return PublishedRow(
        name, source, method, {_MVTEC: mvtec} | ({_MTD: mtd} if mtd else {}) | categories
    )


ROWS = (
    _published("IIC", "zero_shot", "iic", (0.093, 0.020, 0.285), (0.064, 0.020, 0.252)),
    _published(
        "GATCluster", "zero_shot", "gatcluster", (0.136, 0.053, 0.264), (0.028, 0.009, 0.243)
    ),
    _published("SCAN", "zero_shot", "scan", (0.210, 0.103, 0.335), (0.041, 0.029, 0.282)),
    _published("UNO", "zero_shot", "uno", (0.146, 0.052, 0.342), (0.034, 0.011, 0.221)),
    _published("GCD", "zero_shot", "gcd", (0.417, 0.302, 0.553), (0.211, 0.115, 0.381)),
    _published("SimGCD", "zero_shot", "simgcd", (0.452, 0.346, 0.569), (0.105, 0.048, 0.293)),
    _published("AMEND", "zero_shot", "amend", (0.431, 0.333, 0.542), (0.138, 0.067, 0.324)),
    _published("AC, unsupervised", "zero_shot", "ac", (0.525, 0.431, 0.604), (0.179, 0.120, 0.346)),
    _published(
        "MuSc + AnomalyNCD",
        "zero_shot",
        "anomalyncd paper",
        (0.613, 0.526, 0.712),
        (0.268, 0.228, 0.509),
        bottle=(0.613, 0.583, 0.819),
        pill=(0.439, 0.291, 0.513),
    ),
    _published(
        "AC, with normals", "normals", "ac_normals", (0.608, 0.489, 0.652), (0.390, 0.314, 0.490)
    ),
    _published("UniFormaly", "normals", "uniformaly", (0.547, 0.433, 0.645), (0.421, 0.322, 0.609)),
    _published(
        "PatchCore + AnomalyNCD",
        "normals",
        "anomalyncd paper",
        (0.670, 0.601, 0.769),
        (0.380, 0.390, 0.617),
    ),
    _published("RD++ + AnomalyNCD", "normals", None, (0.631, 0.542, 0.721), (0.368, 0.361, 0.600)),
    _published(
        "EfficientAD + AnomalyNCD", "normals", None, (0.516, 0.394, 0.641), (0.220, 0.188, 0.467)
    ),
    _published("PNI + AnomalyNCD", "normals", None, (0.675, 0.609, 0.769), (0.181, 0.219, 0.465)),
    _published(
        "CPR + AnomalyNCD",
        "normals",
        None,
        (0.736, 0.674, 0.805),
        None,
        bottle=(0.775, 0.757, 0.904),
        pill=(0.694, 0.592, 0.747),
    ),
)
"""In the order of the papers (AnomalyNCD, CVPR 2025, and its supplement)."""


def check_published(entry: SetEntry) -> None:
    """Raises if a set names published scores that are not known.

    Raises:
        InputError: Names those that are.
    """
    if entry.published is not None and entry.published not in PUBLISHED:
        known = ", ".join(PUBLISHED)
        raise InputError(
            f"set '{entry.group}' has published={entry.published!r}; use one of {known}"
        )


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
            if meant == row.method and not method["config"]:
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
