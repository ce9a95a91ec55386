"""VisA: tables that name the images, their kinds of defects and the split."""

from pathlib import Path

import pandas as pd

from anomalyncd.data.layouts.rows import Row, as_table, choose_category, row
from anomalyncd.data.tables import read_table
from anomalyncd.errors import InputError

_ANNOTATION = "image_anno.csv"
_SEVERAL = "combined"


def visa(root: Path, category: str | None) -> pd.DataFrame:
    """Reads one category; an image with several kinds of defects has the label "combined".

    Args:
        root: Holds `CATEGORY/image_anno.csv`, `CATEGORY/Data/` and `split_csv/1cls.csv`; without
            the latter there is no column `split`.
        category: Its name, "candle".

    Raises:
        InputError: The folder is laid out otherwise.
    """
    found = [path.parent.name for path in root.glob(f"*/{_ANNOTATION}")]
    if not found:
        raise InputError(f"no 'CATEGORY/{_ANNOTATION}' under '{root}'; give the folder of VisA")
    chosen = choose_category(found, category, root)
    images = _columns(root / chosen / _ANNOTATION, ("image", "label", "mask"))
    table = as_table(_row(root, *cells) for cells in images.itertuples(index=False))
    listed = root / "split_csv" / "1cls.csv"
    if listed.is_file():
        split = _columns(listed, ("image", "split")).set_index("image")["split"]
        table["split"] = images["image"].map(split).fillna("").to_numpy()
    return table


def _columns(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    table = read_table(path, "table")
    lost = [name for name in names if name not in table]
    if lost:
        raise InputError(f"table '{path}' has no column '{lost[0]}'; unpack the data set again")
    return table[list(names)]


def _row(root: Path, image: str, kinds: str, mask: str) -> Row:
    label = _SEVERAL if "," in kinds else kinds.strip()
    return row(root / image, root / mask if mask else None, label)
