"""Files paired with images: by name, never by position, and by aspect ratio."""

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.files import and_more, files_by_name


def refuse_strangers(
    files: Mapping[str, Path | str], images: ImageSet, what: str, expected: Sequence[str] = ()
) -> None:
    """Raises if no file belongs to an image, or some file belongs to none.

    Args:
        files: Name to file.
        images: The images.
        what: What the files are, for messages: "map", "mask".
        expected: Further names that may have files although they are not among the images.

    Raises:
        InputError: Names the first file without an image and where its image is expected.
    """
    if files and not set(files) & set(images.names):
        raise InputError(
            f"no {what} belongs to an image: a {what} is named like '{min(files)}', "
            f"an image like '{images.names[0]}'; name each {what} like its image"
        )
    strangers = sorted(set(files) - set(images.names) - set(expected))
    if not strangers:
        return
    first = strangers[0]
    where = f" under '{images.root}'" if images.root else " among the images"
    raise InputError(
        f"{what} '{files[first]}'{and_more(len(strangers))} has no image; "
        f"expected {first}.(png|jpg|tif|...){where}{_nearest(first, files, images)}"
    )


def refuse_missing(
    files: Collection[str], images: ImageSet, what: str, where: str, suffixes: Collection[str]
) -> None:
    """Raises if an image has no file.

    Args:
        files: Names of the files.
        images: The images.
        what: What the files are, for messages.
        where: Where they were looked for, for messages.
        suffixes: Suffixes the file may have, with the dot.

    Raises:
        InputError: Names the first image without a file and counts the others.
    """
    missing = [name for name in images.names if name not in files]
    if missing:
        endings = "|".join(sorted(suffix[1:] for suffix in suffixes))
        raise InputError(
            f"image '{missing[0]}'{and_more(len(missing))} has no {what}; "
            f"expected {missing[0]}.({endings}) {where}"
        )


_MASK_ENDING = re.compile(r"_mask[_-]?\d+|[_-]\d+(_mask)?| ?\(\d+\)")
_LABEL_STUDIO = re.compile(r"(^|/)task-\d+-annotation-\d+-by-")


def masks_by_image(
    files: Mapping[str, Path], names: Collection[str]
) -> dict[str, Path | tuple[Path, ...]]:
    """Finds the image of each mask by its name.

    A mask has the name of its image, which may be followed by `_mask`. Several masks of one image
    have numbers as well, `NAME_0`, `NAME_mask_1`, `NAME_2_mask`, or the names of kinds of defects,
    `NAME_scratch`, which must occur with two images or more, or lie in a folder of its name,
    `NAME/0`. A mask whose whole name is that of an image belongs to that image.

    Args:
        files: Name to file of the masks.
        names: Names of the images.

    Returns:
        For each name its mask, or several in the order of their names; a mask without an image is
        under its own name.

    Raises:
        InputError: A mask fits two images, or an image has two masks of one number.
    """
    paired: dict[str, dict[str, Path]] = {}
    kinds = _kinds(files, names)
    for stem, path in files.items():
        if _LABEL_STUDIO.search(stem):
            raise InputError(
                f"mask '{path}' is named after a task of Label Studio, not after its image; export "
                "the annotations as JSON and give that file as `masks`"
            )
        name, number = _image_and_number(stem, path, names, kinds)
        masks = paired.setdefault(name, {})
        if number in masks:
            raise InputError(
                f"image '{name}' has two masks: '{masks[number].name}' and '{path.name}'; keep "
                f"one, or name them {name}_1 and {name}_2"
            )
        masks[number] = path
    several = {name: tuple(masks.values()) for name, masks in paired.items()}
    return {name: paths if len(paths) > 1 else paths[0] for name, paths in several.items()}


def _kinds(files: Collection[str], names: Collection[str]) -> set[str]:
    """The endings, such as "_scratch", by which masks of two images or more differ from these."""
    images: dict[str, set[str]] = {}
    for stem in files:
        for place in (match.start() for match in re.finditer("[_-]", stem)):
            if stem[:place] in names:
                images.setdefault(stem[place:], set()).add(stem[:place])
    return {ending for ending, of in images.items() if len(of) > 1}


def _image_and_number(
    stem: str, path: Path, names: Collection[str], kinds: Collection[str]
) -> tuple[str, str]:
    """The image of a mask, and what tells the mask from others of that image."""
    bare = stem.removesuffix("_mask")
    if stem in names:
        if bare != stem and bare in names:
            raise InputError(
                f"mask '{path}' fits the images '{bare}' and '{stem}'; rename one of them"
            )
        return stem, ""
    if bare in names:
        return bare, ""
    for end in range(len(stem) - 1, 0, -1):
        name, ending = stem[:end], stem[end:]
        if name in names and (
            _MASK_ENDING.fullmatch(ending)
            or ending in kinds
            or (ending[0] == "/" and not any(other.startswith(f"{name}/") for other in names))
        ):
            return name, ending
    return bare, ""


def training_names(images: ImageSet) -> tuple[str, ...]:
    """Returns the names of the images in the folder `train/` beside `test/`, if there is one."""
    # MTD has a mask for every image, training images included.
    if images.root is None or images.root.name != "test":
        return ()
    training = images.root.parent / "train"
    return tuple(files_by_name(training, IMAGE_SUFFIXES, "image")) if training.is_dir() else ()


def refuse_other_aspect(shape: tuple[int, ...], name: str, size: NDArray[np.int64]) -> None:
    """Raises if a map or mask has another aspect ratio than its image.

    It may have any size, but must be square (detectors often resize so) or have the aspect ratio of
    its image within 10 % (sides are often rounded to multiples of a patch) or one pixel.

    Args:
        shape: Height and width of the map or mask.
        name: Name of the image.
        size: Height and width of the image in pixels.

    Raises:
        InputError: Names the image and both sizes.
    """
    height, width = shape
    image_height, image_width = (int(side) for side in size)
    if height != width and not have_one_aspect(shape, (image_height, image_width)):
        raise InputError(
            f"the map or mask of '{name}' is {height}x{width} (height x width), "
            f"its image {image_height}x{image_width}; give a map of the whole image, not turned"
        )


def have_one_aspect(shape: tuple[int, ...], size: tuple[int, ...]) -> bool:
    """Whether a map or mask has the aspect ratio of its image, within what rounding explains."""
    (height, width), (image_height, image_width) = shape, size
    difference = abs(height * image_width - width * image_height)
    return difference <= max(0.1 * height * image_width, image_height, image_width)


def _nearest(name: str, files: Collection[str], images: ImageSet) -> str:
    # Most faults are a matter of case, a typing error or one folder level.
    unpaired = {other.casefold(): other for other in images.names if other not in files}
    close = get_close_matches(name.casefold(), unpaired, n=1)
    return f"; the image nearest in name is '{unpaired[close[0]]}'" if close else ""
