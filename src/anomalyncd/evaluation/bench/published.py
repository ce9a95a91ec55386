"""Scores that the papers published, to stand beside ours and never among them."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from anomalyncd.errors import InputError
from anomalyncd.evaluation.bench.table_file import SetEntry

Scores: TypeAlias = tuple[float, float, float]
"""NMI, ARI and F1."""


@dataclass(frozen=True)
class PublishedRow:
    """A method of the papers' table."""

    name: str
    source: Literal["zero_shot", "normals"]
    """What it knows: the parts alone, or normal images as well."""
    method: str | None
    """What we have of it, by the name and, after a blank, the preset; None for nothing."""
    scores: dict[str, Scores]
    """By the names in `PUBLISHED`."""


_MVTEC, _MTD = "MVTec AD", "MTD"
PUBLISHED = {_MVTEC: "mean over 15 categories", _MTD: "", "bottle": "", "pill": ""}
"""Sets with published scores, and what to know of them."""


def _row(
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
    _row("IIC", "zero_shot", "iic", (0.093, 0.020, 0.285), (0.064, 0.020, 0.252)),
    _row("GATCluster", "zero_shot", "gatcluster", (0.136, 0.053, 0.264), (0.028, 0.009, 0.243)),
    _row("SCAN", "zero_shot", "scan", (0.210, 0.103, 0.335), (0.041, 0.029, 0.282)),
    _row("UNO", "zero_shot", "uno", (0.146, 0.052, 0.342), (0.034, 0.011, 0.221)),
    _row("GCD", "zero_shot", "gcd", (0.417, 0.302, 0.553), (0.211, 0.115, 0.381)),
    _row("SimGCD", "zero_shot", "simgcd", (0.452, 0.346, 0.569), (0.105, 0.048, 0.293)),
    _row("AMEND", "zero_shot", "amend", (0.431, 0.333, 0.542), (0.138, 0.067, 0.324)),
    _row("AC, unsupervised", "zero_shot", "ac", (0.525, 0.431, 0.604), (0.179, 0.120, 0.346)),
    _row(
        "MuSc + AnomalyNCD",
        "zero_shot",
        "anomalyncd paper",
        (0.613, 0.526, 0.712),
        (0.268, 0.228, 0.509),
        bottle=(0.613, 0.583, 0.819),
        pill=(0.439, 0.291, 0.513),
    ),
    _row("AC, with normals", "normals", "ac_normals", (0.608, 0.489, 0.652), (0.390, 0.314, 0.490)),
    _row("UniFormaly", "normals", "uniformaly", (0.547, 0.433, 0.645), (0.421, 0.322, 0.609)),
    _row(
        "PatchCore + AnomalyNCD",
        "normals",
        "anomalyncd paper",
        (0.670, 0.601, 0.769),
        (0.380, 0.390, 0.617),
    ),
    _row("RD++ + AnomalyNCD", "normals", None, (0.631, 0.542, 0.721), (0.368, 0.361, 0.600)),
    _row("EfficientAD + AnomalyNCD", "normals", None, (0.516, 0.394, 0.641), (0.220, 0.188, 0.467)),
    _row("PNI + AnomalyNCD", "normals", None, (0.675, 0.609, 0.769), (0.181, 0.219, 0.465)),
    _row(
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
