"""Scores that the papers published; they are shown beside ours and never mixed with them."""

from dataclasses import dataclass

PUBLISHED = {"MVTec AD": "mean over 15 categories", "MTD": "", "bottle": "", "pill": ""}
"""Sets with published scores, and over what these are averaged."""


@dataclass(frozen=True)
class PublishedRow:
    """A method in the table of the papers."""

    name: str
    kind: str
    """Kind of the map source: `zero_shot`, or `normals` for methods that know normal images."""
    method: str
    """Our implementation: its name and, after a blank, its preset; empty if there is none."""
    scores: dict[str, tuple[float, ...]]
    """NMI, ARI and F1 by the names in `PUBLISHED`."""


def _row(line: str) -> PublishedRow:
    name, kind, method, *columns = (cell.strip() for cell in line.split("|"))
    scores = {
        published: tuple(map(float, cell.split()))
        for published, cell in zip(PUBLISHED, columns, strict=True)
        if cell
    }
    return PublishedRow(name, kind, method, scores)


_TABLE = """
IIC | zero_shot | iic | .093 .020 .285 | .064 .020 .252 | |
GATCluster | zero_shot | gatcluster | .136 .053 .264 | .028 .009 .243 | |
SCAN | zero_shot | scan | .210 .103 .335 | .041 .029 .282 | |
UNO | zero_shot | uno | .146 .052 .342 | .034 .011 .221 | |
GCD | zero_shot | gcd | .417 .302 .553 | .211 .115 .381 | |
SimGCD | zero_shot | simgcd | .452 .346 .569 | .105 .048 .293 | |
AMEND | zero_shot | amend | .431 .333 .542 | .138 .067 .324 | |
AC, unsupervised | zero_shot | ac | .525 .431 .604 | .179 .120 .346 | |
MuSc + AnomalyNCD | zero_shot | anomalyncd paper \
    | .613 .526 .712 | .268 .228 .509 | .613 .583 .819 | .439 .291 .513
AC, with normals | normals | ac_normals | .608 .489 .652 | .390 .314 .490 | |
UniFormaly | normals | uniformaly | .547 .433 .645 | .421 .322 .609 | |
PatchCore + AnomalyNCD | normals | anomalyncd paper | .670 .601 .769 | .380 .390 .617 | |
RD++ + AnomalyNCD | normals | | .631 .542 .721 | .368 .361 .600 | |
EfficientAD + AnomalyNCD | normals | | .516 .394 .641 | .220 .188 .467 | |
PNI + AnomalyNCD | normals | | .675 .609 .769 | .181 .219 .465 | |
CPR + AnomalyNCD | normals | | .736 .674 .805 | | .775 .757 .904 | .694 .592 .747
"""
ROWS = tuple(_row(line) for line in _TABLE.strip().splitlines())
"""In the order of the papers (AnomalyNCD, CVPR 2025, and its supplement)."""
