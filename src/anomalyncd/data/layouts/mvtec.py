"""MVTec AD, and AeBAD-S, which is laid out alike with a folder a domain below each kind."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from anomalyncd.data.files import files_by_name
from anomalyncd.data.images import IMAGE_SUFFIXES
from anomalyncd.data.layouts.rows import Row, as_table, choose_category, row
from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts
from anomalyncd.errors import InputError

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
    parts = Parts.from_folder(root / "test")
    truth = root / "ground_truth"
    masks = Masks.from_folder(truth, parts).sources if truth.is_dir() else (None,) * len(parts)
    for name, image, mask in zip(parts.names, parts.sources, masks, strict=True):
        if "/" not in name:
            raise InputError(f"image '{image}' is in no class; put it in a folder named after it")
        assert isinstance(image, Path)
        assert mask is None or isinstance(mask, Path)
        yield row(image, mask, name.split("/")[0], split="test")


def _domain(one: Row, root: Path) -> str:
    _, _, *folders, _ = Path(one["image"]).relative_to(root).parts
    return folders[0] if folders else ""
