"""Files paired with images: by name, never by position, and by aspect ratio."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io.files import and_more


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
