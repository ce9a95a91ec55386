"""What inputs must fulfil before a discovery or a prediction starts, beyond being readable."""

from numbers import Integral

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import Detector
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.tiles import chosen_tile_side
from anomalyncd.errors import InputError
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.results.model_file import FittedModel
from anomalyncd.runtime.wording import counted

AUTO = "auto"
"""In place of a number of classes: it is estimated."""


def require_n_classes(n_classes: int | str) -> int | None:
    """Returns the number of classes that was asked for; None where it is to be estimated.

    Raises:
        InputError: It is neither "auto" nor a whole number of 2 or more.
    """
    if isinstance(n_classes, str) and n_classes == AUTO:
        return None
    if not isinstance(n_classes, Integral) or isinstance(n_classes, bool) or n_classes < 2:
        raise InputError(
            f"n_classes={n_classes!r} cannot be used; give 2 or more, the normal class included, "
            f"or {AUTO!r} to have the number estimated"
        )
    return int(n_classes)


def require_enough_images(inputs: Inputs, n_classes: int | None, detector: DetectorConfig) -> None:
    """Raises unless each class can have an image; an estimated number is at least 2.

    An image that is looked at in tiles may show all kinds at once, and is enough.

    Raises:
        InputError: There are more classes than images.
    """
    n_images, needed = len(inputs.images), 2 if n_classes is None else n_classes
    if n_images < needed and chosen_tile_side(inputs.sizes, detector) is None:
        remedy = "give more images" + ("" if n_classes is None else " or ask for fewer classes")
        raise InputError(
            f"{counted(n_images, 'image')} cannot be sorted into {needed} classes; {remedy}"
        )


def require_inputs_of(model: FittedModel, inputs: Inputs) -> None:
    """Raises unless new images come with the same kinds of inputs as those of the fit.

    Raises:
        InputError: Names what to give, or to leave out.
    """
    if inputs.masks is None:
        if model.score_range is None:
            raise InputError("the model was made from masks; give the `masks` of the new images")
        if inputs.maps is None and model.detector is None:
            raise InputError(
                "the model was made from given maps; give the `maps` of the new images"
            )
        if inputs.maps is not None and model.detector is not None:
            raise InputError(
                "the model makes its own maps, and those of another detector do not fit it; "
                "leave `maps` out"
            )
    source = "none" if model.foreground is None else model.foreground.source
    fixed = None if model.fixed_masks is None else model.fixed_masks.foreground
    if source == "given" and inputs.foreground is None and fixed is None:
        raise InputError(
            "the model was made with masks of the foreground; give `foreground` for the new images"
        )
    if source == "none" and inputs.foreground is not None:
        raise InputError("the model takes whole images for foreground; leave `foreground` out")


def require_memory_bank(detector: Detector | None) -> MemoryBank:
    """Returns the memory bank of a model.

    Args:
        detector: The model's own detector; None where maps or masks were given.

    Raises:
        InputError: The model was made without normal images, or its maps were given.
    """
    if isinstance(detector, MemoryBank):
        return detector
    made = "without normal images" if detector is not None else "from given maps or masks"
    raise InputError(
        f"the model was made {made}, so it has no memory bank to add to; discover again with "
        "`normals` and without maps or masks"
    )
