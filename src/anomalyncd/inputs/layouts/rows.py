"""What the layouts share: rows of a manifest, and the choice of one category."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.io.files import and_more

Row: TypeAlias = dict[str, str]


def row(image: Path, mask: Path | None, label: str, **further: str) -> Row:
    """Returns one row of a manifest."""
    return {
        "image": str(image),
        "mask": "" if mask is None else str(mask),
        "label": label,
    } | further


def as_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Returns the manifest of some rows; a column `mask` in which nothing is, is left out.

    Raises:
        InputError: A file that a row names does not exist.
    """
    table = pd.DataFrame(list(rows), dtype=str)
    if (table["mask"] == "").all():
        table = table.drop(columns="mask")
    for column in ("image", "mask"):
        paths = table.get(column, pd.Series(dtype=str))
        lacking = [path for path in paths if path and not Path(path).is_file()]
        if lacking:
            raise InputError(
                f"{column} '{lacking[0]}'{and_more(len(lacking))} does not exist; "
                "unpack the whole data set"
            )
    return table


def choose_category(found: Iterable[str], category: str | None, root: Path) -> str:
    """Returns the category asked for, or the only one there is.

    Raises:
        InputError: There is no such category, or there are several and none was asked for.
    """
    categories = sorted(found)
    if category is None and len(categories) == 1:
        return categories[0]
    if category in categories:
        return str(category)
    known = ", ".join(categories)
    if category is None:
        raise InputError(
            f"'{root}' holds the categories {known}; name one (on the command line --category)"
        )
    raise InputError(f"'{root}' has no category '{category}'; use one of {known}")
