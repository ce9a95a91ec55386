"""The true class of each part, for scoring alone."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.data.manifest import LABEL
from anomalyncd.errors import InputError

NORMAL_LABELS = ("good", "normal", "ok", "mt_free")
"""How data sets call their normal class, in lower case."""


def labels_from_names(names: Sequence[str] | pd.Series) -> tuple[str, ...]:
    """Takes the class of each part from the folder it lies in.

    The class is the first folder of a name, as in a base set, so that what lies deeper (a camera,
    a date) does not split it: "scratch/000" and "scratch/monday/000" are both "scratch".

    Args:
        names: Relative POSIX paths without suffix, see `Parts.names`.

    Returns:
        One class name a part, in order.

    Raises:
        InputError: No names, a part outside any folder, or all parts in one folder.
    """
    if len(names) == 0:  # a data frame's column has no truth value
        raise InputError("there are no parts to score; give at least two, of two classes")
    for name in names:
        if "/" not in name:
            raise InputError(
                f"part '{name}' has no class; expected it in a folder named after its class, "
                f"'CLASS/{name}'"
            )
    labels = tuple(name.split("/", 1)[0] for name in names)
    if len(set(labels)) == 1:
        raise InputError(
            f"all {len(labels)} parts lie in the folder '{labels[0]}'; "
            "to be scored they must lie in one folder a class, directly below the folder of parts"
        )
    return labels


def labels_from_table(images: pd.DataFrame) -> tuple[str, ...]:
    """Takes the class of each part from the column `label`, or from the folder it lies in.

    Args:
        images: A table of parts, see `Verdicts.images`; a manifest may have brought the labels.

    Returns:
        One class name a part, in order; "" for a part that nobody has labelled.

    Raises:
        InputError: There is no such column, and the folders tell no classes.
    """
    if LABEL in images:
        return tuple(images[LABEL].str.strip())
    return labels_from_names(images["name"])


def states_from_labels(
    images: pd.DataFrame, normal: Collection[str] = NORMAL_LABELS
) -> NDArray[np.int64] | None:
    """What labels say of each part: whether it is defective.

    Args:
        images: A table of parts, see `labels_from_table`.
        normal: Names of the normal class, in lower case.

    Returns:
        (N,): 1 where the label names a defect, 0 where it says normal, -1 where there is none; None
        where no label says normal.
    """
    try:
        labels = np.array([label.lower() for label in labels_from_table(images)])
    except InputError:
        return None
    sound = np.isin(labels, list(normal))
    return np.where(labels == "", -1, np.where(sound, 0, 1)) if sound.any() else None
