"""A folder a class: the plainest way to keep labelled images."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_files import IMAGE_SUFFIXES
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.layouts.rows import (
    Row,
    as_table,
    choose_category,
    row,
)
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.files import and_more, files_by_name


def class_folders(root: Path) -> pd.DataFrame:
    """Reads `CLASS/`, images at any depth below; no masks, no split."""
    images = ImageSet.from_folder(root)
    rows = []
    for name, image in zip(images.names, images.sources, strict=True):
        assert isinstance(image, Path)
        if "/" not in name:
            raise InputError(f"image '{image}' is in no class; put it in a folder named after it")
        rows.append(row(image, None, name.split("/")[0]))
    return as_table(rows)


_AEBAD = "AeBAD_S"


def mvtec(root: Path, category: str | None) -> pd.DataFrame:
    """Reads `train/`, `test/KIND/` and `ground_truth/KIND/` of one category."""
    if (root / "test").is_dir():
        choose_category([root.name], category, root)
        return as_table(_rows(root))
    found = [path.name for path in root.iterdir() if (path / "test").is_dir()]
    if not found:
        raise InputError(f"'{root}' has no folder 'test'; give the folder that holds it")
    return as_table(_rows(root / choose_category(found, category, root)))


def aebad(root: Path) -> pd.DataFrame:
    """Reads AeBAD-S, whose images lie in `test/KIND/DOMAIN/`; column `domain`."""
    inner = root / _AEBAD if (root / _AEBAD).is_dir() else root
    if not (inner / "test").is_dir():
        raise InputError(f"'{inner}' has no folder 'test'; give the folder {_AEBAD}")
    return as_table(one | {"domain": _domain(one, inner)} for one in _rows(inner))


def _rows(root: Path) -> Iterator[Row]:
    normals = root / "train"
    if normals.is_dir():
        for name, path in files_by_name(normals, IMAGE_SUFFIXES, "image").items():
            yield row(path, None, name.split("/")[0], split="train")
    images = ImageSet.from_folder(root / "test")
    truth = root / "ground_truth"
    masks = Masks.from_folder(truth, images).sources if truth.is_dir() else (None,) * len(images)
    for name, image, mask in zip(images.names, images.sources, masks, strict=True):
        if "/" not in name:
            raise InputError(f"image '{image}' is in no class; put it in a folder named after it")
        assert isinstance(image, Path)
        assert mask is None or isinstance(mask, Path)
        yield row(image, mask, name.split("/")[0], split="test")


def _domain(one: Row, root: Path) -> str:
    _, _, *folders, _ = Path(one["image"]).relative_to(root).parts
    return folders[0] if folders else ""


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
