"""What happens when the memory of an accelerator is full."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from anomalyncd.errors import InputError

_LOWER_RESOLUTION = "lower `detector.resolution`"
_REMEDIES = {
    "foreground": _LOWER_RESOLUTION,
    "foreground_masks": _LOWER_RESOLUTION,
    "detector": f"{_LOWER_RESOLUTION} or `detector.n_references`",
    "maps": _LOWER_RESOLUTION,
    "normal_maps": _LOWER_RESOLUTION,
    "tokens": "lower `crops.size`",
    "base": "lower `crops.size`",
    "discovery": "lower `training.batch_size`",
}
"""What needs less memory, by the stage of a discovery."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of an accelerator is full.

    Not every accelerator has the error of torch for it; others say it in words.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


@contextmanager
def refuse_full_memory(stage: str) -> Iterator[None]:
    """Turns the error of an accelerator whose memory is full into one that names the remedy.

    Args:
        stage: What is done within: a stage of a discovery, or "prediction".

    Raises:
        InputError: The memory is full.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        remedy = _REMEDIES.get(stage, "end other programs that use it")
        raise InputError(
            f"the memory of the device is full in the stage {stage.replace('_', ' ')}; "
            f"{remedy}, or use the device cpu"
        ) from error
