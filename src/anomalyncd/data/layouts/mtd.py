"""Magnetic Tile Defects as published: images and masks of a kind side by side."""

from pathlib import Path

import pandas as pd

from anomalyncd.data.files import and_more
from anomalyncd.data.layouts.rows import as_table, row
from anomalyncd.errors import InputError


def mtd(root: Path, split_list: Path | None) -> pd.DataFrame:
    """Reads `MT_KIND/Imgs/NAME.jpg` and the mask `NAME.png` beside it.

    Args:
        root: Holds the folders `MT_Blowhole`, `MT_Break`, ...
        split_list: Names of the training images, one a line; without it there is no column `split`.

    Raises:
        InputError: The folder is laid out otherwise, or the list cannot be read or names an image
            that is not there.
    """
    images = sorted(
        path for path in root.glob("MT_*/Imgs/*") if path.suffix.lower() in (".jpg", ".jpeg")
    )
    if not images:
        raise InputError(f"no image '{root / 'MT_*' / 'Imgs' / '*.jpg'}'; give the folder of MT_*")
    rows = []
    for image in images:
        mask = image.with_suffix(".png")
        kind = image.parent.parent.name
        rows.append(row(image, mask if mask.is_file() else None, kind))
    table = as_table(rows)
    if split_list is not None:
        training = _training_names(split_list, {image.name for image in images})
        table["split"] = ["train" if image.name in training else "test" for image in images]
    return table


def _training_names(split_list: Path, known: set[str]) -> set[str]:
    try:
        lines = split_list.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"split list '{split_list}' cannot be read ({error})") from error
    names = {line.strip() for line in lines} - {""}
    lacking = sorted(names - known)
    if lacking:
        raise InputError(
            f"split list '{split_list}' names '{lacking[0]}'{and_more(len(lacking))}, which is not "
            "among the images; unpack the whole data set"
        )
    return names
