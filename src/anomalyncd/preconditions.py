"""What sound inputs must fulfil besides, before a discovery or a prediction starts."""

from anomalyncd.data.inputs import Inputs
from anomalyncd.detect.detector import Detector
from anomalyncd.detect.memory_bank import MemoryBank
from anomalyncd.detect.object_prior import ObjectPrior
from anomalyncd.errors import InputError
from anomalyncd.regions.score_range import ScoreRange


def require_n_classes(n_classes: int | None) -> int:
    """The number of classes asked for.

    Raises:
        InputError: It is not given, or below 2.
    """
    if n_classes is None:
        raise InputError(
            "the number of classes is not given; pass n_classes (on the command line --classes), "
            "the kinds of defects you expect and one more for normal parts"
        )
    if n_classes < 2:
        raise InputError(f"n_classes={n_classes} cannot be used; give 2 or more")
    return n_classes


def require_enough_parts(n_parts: int, n_classes: int) -> None:
    """Raises unless each class can have a part.

    Raises:
        InputError: There are more classes than parts.
    """
    if n_parts < n_classes:
        raise InputError(
            f"{n_parts} parts cannot be sorted into {n_classes} classes; give more parts or "
            "ask for fewer classes"
        )


def require_same_kind(inputs: Inputs, bounds: ScoreRange | None, detector: Detector | None) -> None:
    """Raises unless new parts come with what a model was made from, maps or masks.

    Args:
        inputs: The new parts.
        bounds: The model's score range; None where it was made from masks.
        detector: The model's own detector; None where its maps were given.

    Raises:
        InputError: Says what to give.
    """
    if inputs.masks is not None:
        return
    if bounds is None:
        raise InputError("the model was made from masks; give the masks of the new parts")
    if inputs.maps is None and detector is None:
        raise InputError("the model was made from given maps; give the maps of the new parts")
    if inputs.maps is not None and detector is not None:
        raise InputError("the model makes its own maps; those of another detector do not fit it")


def require_objects(inputs: Inputs, prior: ObjectPrior | None) -> None:
    """Raises unless the product is told from the background on new parts as it was for a model.

    Args:
        inputs: The new parts.
        prior: The model's; None where whole pictures are product.

    Raises:
        InputError: Says what to give, or to leave out.
    """
    source = "none" if prior is None else prior.source
    if source == "given" and inputs.objects is None:
        raise InputError(
            "the model was made with masks of the product; give those of the new parts "
            "(on the command line --objects)"
        )
    if source == "none" and inputs.objects is not None:
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
