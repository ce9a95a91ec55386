"""What changed between two runs over the same images."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import Evaluation, evaluate_if_labelled
from anomalyncd.evaluation.metrics import (
    ClusterScores,
    Label,
    cluster_scores,
    match_classes,
)
from anomalyncd.results.predictions import NORMAL


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two tables of images, side by side; classes of the second are matched with the first's."""

    agreement: ClusterScores
    """How well the two agree over the images they share; 1 is perfect."""
    matched: dict[str, str]
    """Class of the first to the class of the second that shares most images with it."""
    changed: pd.DataFrame
    """`name`, `first`, `second`: images whose class is not the matching one."""
    n_shared: int
    only_first: list[str]
    """Names of images that the second lacks."""
    only_second: list[str]
    evaluations: tuple[Evaluation | None, Evaluation | None]
    """Scores of each against labels, where there are some."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "agreement": asdict(self.agreement),
            "matched": self.matched,
            "changed": self.changed.to_dict("records"),
            "n_shared": self.n_shared,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "scores": [one and one.to_dict()["images"] for one in self.evaluations],
        }


def compare_images(first: pd.DataFrame, second: pd.DataFrame) -> Comparison:
    """Compares the tables of images of two runs.

    Args:
        first: See `Predictions.images`.
        second: ImageSet are paired by name.

    Raises:
        InputError: The two share no image.
    """
    one, other = (table.set_index("name")["class_name"] for table in (first, second))
    shared = one.index.intersection(other.index, sort=False)
    if not len(shared):
        raise InputError("the two runs share no image; compare runs over the same images")
    before, after = one[shared], other[shared]
    translation = _translation(before, after)
    changed = after.map(translation) != before
    table = pd.DataFrame({"name": shared, "first": before.to_numpy(), "second": after.to_numpy()})
    return Comparison(
        cluster_scores(before, after),
        {str(old): str(new) for new, old in translation.items() if (before == old).any()},
        table[changed.to_numpy()].reset_index(drop=True),
        len(shared),
        sorted(one.index.difference(shared)),
        sorted(other.index.difference(shared)),
        (evaluate_if_labelled(first), evaluate_if_labelled(second)),
    )


def _translation(before: pd.Series, after: pd.Series) -> dict[Label, Label]:
    """Classes of the second in terms of the first's; normal stays normal, numbers may change."""
    kinds = (before != NORMAL) & (after != NORMAL)
    matched = match_classes(before[kinds], after[kinds]) if kinds.any() else {}
    return {NORMAL: NORMAL} | matched
