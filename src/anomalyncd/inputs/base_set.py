"""The base set: images of other products with known classes of defects and their masks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.manifest import LABEL
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.files import and_more, read_each, require_folder
from anomalyncd.io.tables import is_table


@dataclass(frozen=True, eq=False)
class BaseSet:
    """Labelled images of defects; their classes help to distinguish novel classes."""

    images: ImageSet
    """The images, named "class/000" or "class/any/thing/000"."""
    masks: Masks
    """The mask of each image."""
    labels: NDArray[np.int64]
    """Class of each image, (N,), an index into `class_names`."""
    class_names: tuple[str, ...]
    """The classes, sorted."""

    @classmethod
    def from_folder(cls, folder: str | Path) -> "BaseSet":
        """Reads a base set in the layout of MVTec AD.

        One class may be without any defect (no masks, or only black ones): the normal images. It
        is left out, since base classes are kinds of defects.

        Args:
            folder: Images in `test/CLASS/` or `CLASS/`, at any depth below the class; masks in
                `ground_truth/CLASS/` under the same names, with or without `_mask`.

        Returns:
            The base set; every mask has been read once, no image has been opened.

        Raises:
            InputError: There is no such folder, an image is in no class, a mask is missing,
                unreadable or without an image, or no class shows a defect, or several show none.
        """
        root = require_folder(folder)
        truth = root / "ground_truth"
        if not truth.is_dir():
            raise InputError(f"base set '{root}' has no masks; expected them under '{truth}'")
        images = ImageSet.from_folder(root)
        masks = Masks.from_folder(truth, images)
        return _base_set(_classes(images), masks, f"'{truth}'")

    @classmethod
    def from_manifest(cls, path: str | Path) -> "BaseSet":
        """Reads a base set from a manifest.

        Args:
            path: A table with the columns `image`, `label` and `mask`; see `Manifest.read`. Images
                with a blank mask must be of one class, that of normal images, which is left out.

        Returns:
            The base set; every mask has been read once, no image has been opened.

        Raises:
            InputError: See `Manifest` and `from_folder`; or a column or a label is missing.
        """
        images = ImageSet.from_manifest(path)
        assert images.columns is not None
        masks = Masks.from_manifest(path, images)
        if LABEL not in images.columns:
            raise InputError(
                f"base set '{path}' has no column '{LABEL}'; add the class of each image"
            )
        classes = [cell.strip() for cell in images.columns[LABEL]]
        if "" in classes:
            unlabelled = images.names[classes.index("")]
            raise InputError(f"base image '{unlabelled}' in '{path}' has no label; fill it in")
        return _base_set(classes, masks, f"'{path}'")

    def __len__(self) -> int:
        return len(self.images)


def as_base_set(value: BaseSet | str | Path) -> BaseSet:
    """Returns a base set from a folder or a manifest; a base set is returned as it is.

    Raises:
        InputError: See `BaseSet.from_folder` and `BaseSet.from_manifest`.
    """
    if isinstance(value, BaseSet):
        return value
    return BaseSet.from_manifest(value) if is_table(value) else BaseSet.from_folder(value)


def _base_set(classes: list[str], masks: Masks, where: str) -> BaseSet:
    """A base set of the images whose class shows defects."""
    class_names = _defect_classes(classes, masks)
    normal = sorted(set(classes) - set(class_names))
    if not class_names or len(normal) > 1:
        raise InputError(
            f"no mask of the base classes {', '.join(normal)} in {where} shows a defect; "
            "every class needs masks, except one class of normal images"
        )
    defective = [index for index, name in enumerate(classes) if name in class_names]
    _refuse_maskless(defective, masks, where)
    chosen = masks.images.select(defective)
    return BaseSet(
        chosen,
        Masks(chosen, tuple(masks.sources[index] for index in defective)),
        np.array([class_names.index(classes[index]) for index in defective], dtype=np.int64),
        class_names,
    )


def _classes(images: ImageSet) -> list[str]:
    outside = [name for name in images.names if "/" not in name]
    if outside:
        raise InputError(
            f"image '{outside[0]}'{and_more(len(outside))} under '{images.root}' is in no class; "
            "put it in a folder named after its class"
        )
    return [name.split("/")[0] for name in images.names]


def _defect_classes(classes: list[str], masks: Masks) -> tuple[str, ...]:
    masked = [index for index, path in enumerate(masks.sources) if path is not None]
    drawn = read_each(lambda i: bool(masks[masked[i]].any()), len(masked), "Reading base masks")
    defective = {
        classes[index] for index, any_defect in zip(masked, drawn, strict=True) if any_defect
    }
    return tuple(sorted(defective))


def _refuse_maskless(defective: list[int], masks: Masks, where: str) -> None:
    lacking = [masks.images.names[index] for index in defective if masks.sources[index] is None]
    if lacking:
        raise InputError(
            f"base image '{lacking[0]}'{and_more(len(lacking))} has no mask in {where}; "
            "draw one or remove the image"
        )
