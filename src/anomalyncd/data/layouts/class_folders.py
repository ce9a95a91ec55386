"""A folder a class: the plainest way to keep labelled images."""

from pathlib import Path

import pandas as pd

from anomalyncd.data.layouts.rows import as_table, row
from anomalyncd.data.parts import Parts
from anomalyncd.errors import InputError


def class_folders(root: Path) -> pd.DataFrame:
    """Reads `CLASS/`, images at any depth below; no masks, no split."""
    parts = Parts.from_folder(root)
    rows = []
    for name, image in zip(parts.names, parts.sources, strict=True):
        assert isinstance(image, Path)
        if "/" not in name:
            raise InputError(f"image '{image}' is in no class; put it in a folder named after it")
        rows.append(row(image, None, name.split("/")[0]))
    return as_table(rows)
