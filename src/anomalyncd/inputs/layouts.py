"""Public data sets as they are laid out on disk, turned into manifests; no image is copied.

A layout is a function that returns a manifest, with a name in the tables above `prepare`.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.files import and_more, files_by_name, require_folder
from anomalyncd.io.json_files import read_json
from anomalyncd.io.tables import read_table, write_table
from anomalyncd.io.writing import refuse_unwritable

Row: TypeAlias = dict[str, str]


def _row(image: Path, mask: Path | None, label: str, **further: str) -> Row:
    """One row of a manifest."""
    return {
        "image": str(image),
        "mask": "" if mask is None else str(mask),
        "label": label,
    } | further


def _as_table(rows: Iterable[Row]) -> pd.DataFrame:
    """The manifest of some rows, without the column `mask` if it is blank throughout.

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


def _choose_category(known: Iterable[str], category: str | None, root: Path) -> str:
    """The category that was asked for, or the only one.

    Raises:
        InputError: There is no such category, or there are several and none was asked for.
    """
    categories = sorted(known)
    if category is None and len(categories) == 1:
        return categories[0]
    if category in categories:
        return str(category)
    listed = ", ".join(categories)
    if category is None:
        raise InputError(f"'{root}' holds the categories {listed}; name one of them as `category`")
    raise InputError(f"'{root}' has no category '{category}'; use one of {listed}")


def _class_folders(root: Path) -> pd.DataFrame:
    """Reads `CLASS/`, images at any depth below; no masks, no split."""
    images = ImageSet.from_folder(root)
    rows = []
    for name, image in zip(images.names, images.sources, strict=True):
        assert isinstance(image, Path)
        if "/" not in name:
            raise InputError(f"image '{image}' is in no class; put it in a folder named after it")
        rows.append(_row(image, None, name.split("/")[0]))
    return _as_table(rows)


_AEBAD = "AeBAD_S"


def _mvtec(root: Path, category: str | None) -> pd.DataFrame:
    """Reads `train/`, `test/KIND/` and `ground_truth/KIND/` of one category."""
    if (root / "test").is_dir():
        _choose_category([root.name], category, root)
        return _as_table(_mvtec_rows(root))
    categories = [path.name for path in root.iterdir() if (path / "test").is_dir()]
    if not categories:
        raise InputError(f"'{root}' has no folder 'test'; give the folder that holds it")
    return _as_table(_mvtec_rows(root / _choose_category(categories, category, root)))


def _aebad(root: Path) -> pd.DataFrame:
    """Reads AeBAD-S, whose images lie in `test/KIND/DOMAIN/`; column `domain`."""
    inner = root / _AEBAD if (root / _AEBAD).is_dir() else root
    if not (inner / "test").is_dir():
        raise InputError(f"'{inner}' has no folder 'test'; give the folder {_AEBAD}")
    return _as_table(row | {"domain": _domain(row, inner)} for row in _mvtec_rows(inner))


def _mvtec_rows(root: Path) -> Iterator[Row]:
    normals = root / "train"
    if normals.is_dir():
        for name, path in files_by_name(normals, IMAGE_SUFFIXES, "image").items():
            yield _row(path, None, name.split("/")[0], split="train")
    images = ImageSet.from_folder(root / "test")
    truth = root / "ground_truth"
    masks = Masks.from_folder(truth, images).sources if truth.is_dir() else (None,) * len(images)
    for name, image, mask in zip(images.names, images.sources, masks, strict=True):
        if "/" not in name:
            raise InputError(f"image '{image}' is in no class; put it in a folder named after it")
        assert isinstance(image, Path)
        assert mask is None or isinstance(mask, Path)
        yield _row(image, mask, name.split("/")[0], split="test")


def _domain(row: Row, root: Path) -> str:
    _, _, *folders, _ = Path(row["image"]).relative_to(root).parts
    return folders[0] if folders else ""


def _mtd(root: Path, split_list: Path | None) -> pd.DataFrame:
    """Reads `MT_KIND/Imgs/NAME.jpg` and the mask `NAME.png` beside it.

    Args:
        root: Holds the folders `MT_Blowhole`, `MT_Break`, ...
        split_list: Names of the training images, one on each line; without it there is no column
            `split`.

    Raises:
        InputError: The folder has another layout, or the list cannot be read or names an image
            that does not exist.
    """
    images = sorted(
        path for path in root.glob("MT_*/Imgs/*") if path.suffix.lower() in (".jpg", ".jpeg")
    )
    if not images:
        wanted = root / "MT_*" / "Imgs" / "*.jpg"
        raise InputError(f"no image matches '{wanted}'; give the folder that holds MT_*")
    rows = []
    for image in images:
        mask = image.with_suffix(".png")
        kind = image.parent.parent.name
        rows.append(_row(image, mask if mask.is_file() else None, kind))
    table = _as_table(rows)
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


# The JSON files lie deeper in the whole data set; of the images the largest are taken.
_JSON_FOLDERS = ("realiad_jsons/realiad_jsons", "realiad_jsons", ".")
_IMAGE_FOLDERS = ("realiad_raw", "realiad_1024", "realiad_512", "realiad_256", ".")


def _real_iad(root: Path, category: str | None) -> pd.DataFrame:
    """Reads one category; columns `camera` ("C1" to "C5") and `sample` ("S0001").

    Args:
        root: Holds `realiad_jsons/` and one or several of `realiad_1024/`, `realiad_512/`,
            `realiad_256/`, of which the largest is taken; or the JSON files and the categories.
        category: Its name, "audiojack".

    Raises:
        InputError: The folder has another layout, or the JSON file is damaged.
    """
    files = _json_files(root)
    if not files:
        raise InputError(f"no 'CATEGORY.json' under '{root}'; expected it in 'realiad_jsons/'")
    path = files[_choose_category(files, category, root)]
    content = read_json(path, "Real-IAD")
    try:
        folder = _image_folder(root, str(content["meta"]["prefix"]))
        rows = [
            _real_iad_row(entry, folder, split)
            for split in ("train", "test")
            for entry in content.get(split, ())
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"'{path}' is no Real-IAD file ({error!r}); unpack the data set again"
        ) from error
    if not rows:
        raise InputError(f"'{path}' names no image; unpack the data set again")
    return _as_table(rows)


def _json_files(root: Path) -> dict[str, Path]:
    for folder in _JSON_FOLDERS:
        files = {path.stem: path for path in sorted((root / folder).glob("*.json"))}
        if files:
            return files
    return {}


def _image_folder(root: Path, prefix: str) -> Path:
    for folder in _IMAGE_FOLDERS:
        if (root / folder / prefix).is_dir():
            return root / folder / prefix
    raise InputError(f"'{root}' has no folder '{prefix}'; unpack the images beside the JSON files")


def _real_iad_row(entry: dict[str, Any], folder: Path, split: str) -> Row:
    image = Path(entry["image_path"])
    mask = folder / entry["mask_path"] if entry.get("mask_path") else None
    camera = re.search(r"_(C\d+)_", image.name)
    return _row(
        folder / image,
        mask,
        entry["anomaly_class"],
        split=split,
        camera=camera[1] if camera else "",
        sample=image.parent.name,
    )


_ANNOTATION = "image_anno.csv"
_SEVERAL = "combined"


def _visa(root: Path, category: str | None) -> pd.DataFrame:
    """Reads one category; an image with several kinds of defects has the label "combined".

    Args:
        root: Holds `CATEGORY/image_anno.csv`, `CATEGORY/Data/` and `split_csv/1cls.csv`; without
            the latter there is no column `split`.
        category: Its name, "candle".

    Raises:
        InputError: The folder has another layout.
    """
    categories = [path.parent.name for path in root.glob(f"*/{_ANNOTATION}")]
    if not categories:
        raise InputError(f"no 'CATEGORY/{_ANNOTATION}' under '{root}'; give the folder of VisA")
    chosen = _choose_category(categories, category, root)
    images = _visa_columns(root / chosen / _ANNOTATION, ("image", "label", "mask"))
    table = _as_table(_visa_row(root, *cells) for cells in images.itertuples(index=False))
    listed = root / "split_csv" / "1cls.csv"
    if listed.is_file():
        split = _visa_columns(listed, ("image", "split")).set_index("image")["split"]
        table["split"] = images["image"].map(split).fillna("").to_numpy()
    return table


def _visa_columns(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    table = read_table(path, "table")
    missing = [name for name in names if name not in table]
    if missing:
        raise InputError(f"table '{path}' has no column '{missing[0]}'; unpack the data set again")
    return table[list(names)]


def _visa_row(root: Path, image: str, kinds: str, mask: str) -> Row:
    label = _SEVERAL if "," in kinds else kinds.strip()
    return _row(root / image, root / mask if mask else None, label)


_WITHOUT_CATEGORY: dict[str, Callable[[Path], pd.DataFrame]] = {
    "aebad": _aebad,
    "folders": _class_folders,
}
_BY_CATEGORY: dict[str, Callable[[Path, str | None], pd.DataFrame]] = {
    "mvtec": _mvtec,
    "real-iad": _real_iad,
    "visa": _visa,
}
LAYOUTS = tuple(sorted([*_WITHOUT_CATEGORY, *_BY_CATEGORY, "mtd"]))
"""The names of the layouts that `prepare` reads."""

_PATHS = ("image", "mask")


def prepare(
    name: str,
    source: str | Path,
    category: str | None = None,
    split_list: str | Path | None = None,
) -> pd.DataFrame:
    """Reads a data set in its published layout into a manifest.

    Args:
        name: The layout, one of `LAYOUTS`.
        source: The folder of the data set as it was unpacked, or of one of its categories.
        category: One of the products, if the data set has several.
        split_list: For `mtd`: a text file with the names of the training images, one on each line.

    Returns:
        One row for each image, text: `image` and `mask` (paths; "" for no mask), `label`, `split`
        if the data set has one, and further columns of the layout.

    Raises:
        InputError: The layout is not known, or the folder does not follow it.
    """
    if name not in LAYOUTS:
        raise InputError(f"layout '{name}' is not known; use one of {', '.join(LAYOUTS)}")
    if category is not None and name not in _BY_CATEGORY:
        raise InputError(f"layout '{name}' has no categories; leave `category` out")
    if split_list is not None and name != "mtd":
        raise InputError(f"layout '{name}' has a split already; leave `split_list` out")
    root = require_folder(source)
    if name in _WITHOUT_CATEGORY:
        return _WITHOUT_CATEGORY[name](root)
    if name in _BY_CATEGORY:
        return _BY_CATEGORY[name](root, category)
    return _mtd(root, None if split_list is None else Path(split_list).expanduser())


def write_manifest(table: pd.DataFrame, path: str | Path) -> None:
    """Writes a manifest as CSV, its paths relative to it and with forward slashes.

    Args:
        table: The manifest, see `prepare`.
        path: The file, suffix `.csv`; missing folders are made.

    Raises:
        InputError: See `check_manifest`.
    """
    check_manifest(path)
    target = Path(path).expanduser()
    relative = table.copy()
    for column in {*_PATHS} & {*table.columns}:
        relative[column] = [_relative(cell, target.parent) for cell in table[column]]
    write_table(relative, target)


def check_manifest(path: str | Path) -> None:
    """Checks, before a data set is read, that a manifest can be written to a path.

    Raises:
        InputError: The suffix is not `.csv`, the path is a folder, or nothing can be written there.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() != ".csv" or target.is_dir():
        raise InputError(f"manifest '{target}' cannot be written; name a .csv file")
    refuse_unwritable(target.parent)


def _relative(cell: str, folder: Path) -> str:
    if not cell:
        return ""
    try:
        return Path(os.path.relpath(cell, folder)).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(cell)).as_posix()  # noqa: PTH100
