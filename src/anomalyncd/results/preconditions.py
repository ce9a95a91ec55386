"""What sound inputs must fulfil besides, before a discovery or a prediction starts."""

from numbers import Integral

from anomalyncd.detection.detector import Detector
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.errors import InputError
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.regions.score_range import ScoreRange

AUTO = "auto"
"""In place of a number of classes: it is to be estimated."""


def require_n_classes(n_classes: int | str) -> int | None:
    """The number of classes asked for; None where it is to be estimated.

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


def require_enough_images(n_images: int, n_classes: int | None) -> None:
    """Raises unless each class can have a part; an estimated number is 2 at least.

    Raises:
        InputError: There are more classes than images.
    """
    needed = 2 if n_classes is None else n_classes
    if n_images < needed:
        remedy = "give more images" + ("" if n_classes is None else " or ask for fewer classes")
        raise InputError(f"{n_images} images cannot be sorted into {needed} classes; {remedy}")


def require_same_kind(
    inputs: Inputs, score_range: ScoreRange | None, detector: Detector | None
) -> None:
    """Raises unless new images come with what a model was made from, maps or masks.

    Args:
        inputs: The new images.
        score_range: The model's score range; None where it was made from masks.
        detector: The model's own detector; None where its maps were given.

    Raises:
        InputError: Says what to give.
    """
    if inputs.masks is not None:
        return
    if score_range is None:
        raise InputError("the model was made from masks; give the masks of the new images")
    if inputs.maps is None and detector is None:
        raise InputError("the model was made from given maps; give the maps of the new images")
    if inputs.maps is not None and detector is not None:
        raise InputError("the model makes its own maps; those of another detector do not fit it")


def require_foreground(inputs: Inputs, prior: Foreground | None) -> None:
    """Raises unless the product is told from the background on new images as it was for a model.

    Args:
        inputs: The new images.
        prior: The model's; None where whole pictures are product.

    Raises:
        InputError: Says what to give, or to leave out.
    """
    source = "none" if prior is None else prior.source
    if source == "given" and inputs.foreground is None:
        raise InputError(
            "the model was made with masks of the product; give those of the new images "
            "(on the command line --objects)"
        )
    if source == "none" and inputs.foreground is not None:
        raise InputError(
            "the model takes whole pictures for product; leave the masks of the product out "
            "(on the command line --objects)"
        )


def require_memory_bank(detector: Detector | None) -> MemoryBank:
    """The memory bank of a model.

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
        "normals and without maps or masks (on the command line --normals)"
    )
