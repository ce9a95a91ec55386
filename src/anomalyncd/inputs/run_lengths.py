"""Masks that annotation formats write as the lengths of runs of pixels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anomalyncd.io.decoding import MOST_PIXELS

_MOST_BITS = 60


def pixels_of_runs(
    counts: Sequence[int], height: int, width: int, order: Literal["C", "F"]
) -> NDArray[np.bool_]:
    """The pixels of alternating runs, the first of them unmarked.

    Args:
        counts: Length of each run, in pixels.
        height: Rows of the mask.
        width: Columns of the mask.
        order: Whether runs follow rows (C) or columns (F).

    Returns:
        (height, width), True where marked.

    Raises:
        ValueError: The runs do not fill the mask, or it is too large.
    """
    _refuse_too_large(height, width)
    lengths = np.asarray(counts, np.int64)
    if lengths.min(initial=0) < 0 or lengths.sum() != height * width:
        raise ValueError(f"runs of {lengths.sum()} pixels for {height}x{width}")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(
        (height, width), order=order
    )


def _refuse_too_large(height: int, width: int) -> None:
    """Raises before a short text becomes a mask that fills the memory."""
    if not 0 <= height * width <= MOST_PIXELS:
        raise ValueError(f"a mask of {height}x{width} pixels; {MOST_PIXELS:,} are allowed")


def coco_counts(code: str) -> list[int]:
    """The lengths of the runs in COCO's compressed encoding.

    Each character holds five bits, and a number is the difference to the one two before it.

    Raises:
        ValueError: A number has no end.
    """
    counts: list[int] = []
    value = shift = 0
    for character in code:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            if shift > _MOST_BITS:
                raise ValueError("a run without an end")
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def brush_pixels(code: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """The opaque pixels of Label Studio's encoding of a brush: RGBA in runs of words of bits.

    Args:
        code: Its bytes, 0..255.
        height: Rows of the mask.
        width: Columns of the mask.

    Returns:
        (height, width), True where the brush was.

    Raises:
        ValueError: The code is damaged, or the mask is too large.
    """
    bits = "".join(format(byte, "08b") for byte in code)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    _refuse_too_large(height, width)
    n_values, word = take(32), take(5) + 1
    if n_values != 4 * height * width:
        raise ValueError(f"a brush of {n_values} values for {height}x{width}")
    lengths = [take(4) + 1 for _ in range(4)]
    values = np.zeros(n_values, np.uint8)
    done = 0
    while done < n_values:
        repeated = take(1)
        end = done + take(lengths[take(2)]) + 1
        if repeated:
            values[done:end] = take(word)
        else:
            values[done:end] = [take(word) for _ in range(end - done)]
        done = end
    return values.reshape(height, width, 4)[..., 3] > 0
