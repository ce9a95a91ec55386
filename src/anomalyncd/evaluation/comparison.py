"""Differences between two runs over the same images."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import Evaluation, evaluate_if_labelled
from anomalyncd.evaluation.metrics import ClusterScores, Label, cluster_scores, match_classes
from anomalyncd.labels.state import NORMAL_NAME


@dataclass(frozen=True, eq=False)
class Comparison:
    """The classes of two runs; those of the second are matched with those of the first."""

    agreement: ClusterScores
    """How well the two runs agree over the images that they share; 1 is perfect."""
    matched: dict[str, str]
    """For each class of the first run the matching class of the second."""
    changed: pd.DataFrame
    """`name`, `first`, `second`: images whose classes do not match."""
    n_shared: int
    """Number of images in both runs."""
    only_first: list[str]
    """Names of images in the first run only."""
    only_second: list[str]
    """Names of images in the second run only."""
    evaluations: tuple[Evaluation | None, Evaluation | None]
    """Scores of each run against labels, where there are some."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        return {
            "agreement": asdict(self.agreement),
            "matched": self.matched,
            "changed": self.changed.to_dict("records"),
            "n_shared": self.n_shared,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "scores": [scores and scores.to_dict()["images"] for scores in self.evaluations],
        }


def compare_images(first: pd.DataFrame, second: pd.DataFrame) -> Comparison:
    """Compares the tables of images of two runs.

    Args:
        first: See `Predictions.images`.
        second: See `Predictions.images`; images are paired by name.

    Raises:
        InputError: The two runs share no image.
    """
    of_first, of_second = (table.set_index("name")["class_name"] for table in (first, second))
    shared = of_first.index.intersection(of_second.index, sort=False)
    if not len(shared):
        raise InputError("the two runs share no image; compare runs over the same images")
    before, after = of_first[shared], of_second[shared]
    translation = _translation(before, after)
    changed = after.map(translation) != before
    table = pd.DataFrame({"name": shared, "first": before.to_numpy(), "second": after.to_numpy()})
    return Comparison(
        cluster_scores(before, after),
        {str(old): str(new) for new, old in translation.items() if (before == old).any()},
        table[changed.to_numpy()].reset_index(drop=True),
        len(shared),
        sorted(of_first.index.difference(shared)),
        sorted(of_second.index.difference(shared)),
        (evaluate_if_labelled(first), evaluate_if_labelled(second)),
    )


def _translation(before: pd.Series, after: pd.Series) -> dict[Label, Label]:
    """Maps classes of the second run to those of the first; normal stays normal."""
    defective = (before != NORMAL_NAME) & (after != NORMAL_NAME)
    matched = match_classes(before[defective], after[defective]) if defective.any() else {}
    return {NORMAL_NAME: NORMAL_NAME} | matched
