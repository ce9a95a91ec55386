"""Maps and masks of images that EXIF turns or mirrors: upright, or as the image is stored.

Labelling tools, browsers and OpenCV show such an image upright, so its maps and masks are taken for
upright as well. Some programs ignore EXIF. Where the aspect ratio shows that a map or mask lies as
the pixels in the file of its image do, it is turned along.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.masks import Masks
from anomalyncd.inputs.pairing import have_one_aspect
from anomalyncd.io.decoding import orientation_of
from anomalyncd.io.files import and_more

Marks = TypeVar("Marks", Masks, AnomalyMaps)

_FIRST_ON_ITS_SIDE = 5
"""EXIF orientations from here on exchange height and width."""


def turned_along(
    marks: Marks,
    orientations: Sequence[int],
    sizes: NDArray[np.int64],
    findings: Findings,
    what: str,
) -> Marks:
    """Turns maps or masks that lie as their images are stored, and warns where that is open.

    Args:
        marks: The maps, masks or boxes of some images.
        orientations: The EXIF orientation of each image, 1 to 8.
        sizes: Height and width of each upright image, (N, 2), px.
        findings: Where warnings go.
        what: What they are, for warnings: "masks", "maps".

    Returns:
        The same, with their turns.
    """
    turns = [1] * len(marks)
    doubtful: list[int] = []
    for index, orientation in enumerate(orientations):
        if orientation == 1 or marks.sources[index] is None or _is_turned_itself(marks, index):
            continue
        lies = _lies_as_stored(marks, index, orientation, sizes[index])
        if lies:
            turns[index] = orientation
        elif lies is None:
            doubtful.append(index)
    turned = [index for index, turn in enumerate(turns) if turn != 1]
    names = marks.images.names if isinstance(marks, Masks) else marks.names
    if turned:
        findings.warn(
            f"EXIF turns the image '{names[turned[0]]}'{and_more(len(turned))}, and the {what} of "
            f"it have the aspect ratio of the image as it is stored, so they are turned along. If "
            "they then mark the wrong places, save images and marks upright, without an EXIF "
            "orientation."
        )
    if doubtful:
        findings.warn(
            f"EXIF turns or mirrors the image '{names[doubtful[0]]}'{and_more(len(doubtful))}, and "
            f"the {what} of it are taken as made for the upright image, as people see it. If they "
            "were made from the pixels as they are stored, save images and marks upright, without "
            "an EXIF orientation."
        )
    return replace(marks, turns=tuple(turns)) if turned else marks


def _is_turned_itself(marks: Masks | AnomalyMaps, index: int) -> bool:
    source = marks.sources[index]
    source = source[0] if isinstance(source, tuple) else source
    return isinstance(source, Path) and orientation_of(source) != 1


def _lies_as_stored(
    marks: Masks | AnomalyMaps, index: int, orientation: int, size: NDArray[np.int64]
) -> bool | None:
    """Whether a map or mask has the aspect of the stored image; None where both aspects fit."""
    boxes = isinstance(marks, Masks) and not isinstance(marks.sources[index], Path | tuple)
    if boxes or orientation < _FIRST_ON_ITS_SIDE:
        return None
    try:
        shape = marks[index].shape
    except InputError:
        return False  # It is read again, and refused, by the check of maps or masks.
    height, width = (int(side) for side in size)
    fits = have_one_aspect(shape, (height, width)), have_one_aspect(shape, (width, height))
    if shape[0] == shape[1] or fits == (True, True):
        return None
    return fits == (False, True)
