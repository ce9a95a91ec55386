"""Real-IAD: a JSON file a category, and images of each sample from several cameras."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.inputs.layouts.rows import (
    Row,
    as_table,
    choose_category,
    row,
)
from anomalyncd.io.json_files import read_json
from anomalyncd.io.tables import read_table

# From the split with all cameras to none but what was given; the largest images there are.
_JSON_FOLDERS = ("realiad_jsons/realiad_jsons", "realiad_jsons", ".")
_IMAGE_FOLDERS = ("realiad_raw", "realiad_1024", "realiad_512", "realiad_256", ".")


def real_iad(root: Path, category: str | None) -> pd.DataFrame:
    """Reads one category; columns `camera` ("C1" to "C5") and `sample` ("S0001").

    Args:
        root: Holds `realiad_jsons/` and one or several of `realiad_1024/`, `realiad_512/`,
            `realiad_256/`, of which the largest is taken; or the JSON files and the categories.
        category: Its name, "audiojack".

    Raises:
        InputError: The folder is laid out otherwise, or the JSON file is damaged.
    """
    files = _json_files(root)
    if not files:
        raise InputError(f"no 'CATEGORY.json' under '{root}'; expected it in 'realiad_jsons/'")
    path = files[choose_category(files, category, root)]
    content = read_json(path, "Real-IAD")
    try:
        folder = _image_folder(root, str(content["meta"]["prefix"]))
        rows = [
            _row(entry, folder, split)
            for split in ("train", "test")
            for entry in content.get(split, ())
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"'{path}' is no Real-IAD file ({error!r}); unpack the data set again"
        ) from error
    if not rows:
        raise InputError(f"'{path}' names no image; unpack the data set again")
    return as_table(rows)


def _json_files(root: Path) -> dict[str, Path]:
    for folder in _JSON_FOLDERS:
        found = {path.stem: path for path in sorted((root / folder).glob("*.json"))}
        if found:
            return found
    return {}


def _image_folder(root: Path, prefix: str) -> Path:
    for folder in _IMAGE_FOLDERS:
        if (root / folder / prefix).is_dir():
            return root / folder / prefix
    raise InputError(f"'{root}' has no folder '{prefix}'; unpack the images beside the JSON files")


def _row(entry: dict[str, Any], folder: Path, split: str) -> Row:
    image = Path(entry["image_path"])
    mask = folder / entry["mask_path"] if entry.get("mask_path") else None
    camera = re.search(r"_(C\d+)_", image.name)
    return row(
        folder / image,
        mask,
        entry["anomaly_class"],
        split=split,
        camera=camera[1] if camera else "",
        sample=image.parent.name,
    )


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
    table = as_table(_visa_row(root, *cells) for cells in images.itertuples(index=False))
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


def _visa_row(root: Path, image: str, kinds: str, mask: str) -> Row:
    label = _SEVERAL if "," in kinds else kinds.strip()
    return row(root / image, root / mask if mask else None, label)
