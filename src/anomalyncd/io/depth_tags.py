"""Which values are black and white, where an image file of more than 8 bits states it."""

from typing import Any, TypeAlias

from PIL import Image

StatedLevels: TypeAlias = tuple[int | None, int | None]
"""Values of black and white that a file states; None where it states none."""

NOT_STATED: StatedLevels = (None, None)

_BITS_PER_SAMPLE, _MAX_SAMPLE, _SMIN_SAMPLE, _SMAX_SAMPLE = 258, 281, 340, 341
_BLACK_LEVEL, _WHITE_LEVEL = 50714, 50717
_FULL = tuple(2**bits - 1 for bits in range(8, 17))
_SIGNATURE_LENGTH = 8  # Of PNG files.


def stated_levels(image: Image.Image, data: bytes) -> StatedLevels:
    """Reads the levels that a file states for its values.

    - TIFF: `WhiteLevel` and `BlackLevel`, which DNG introduced; `SMaxSampleValue` with
      `SMinSampleValue`; `MaxSampleValue`; or fewer than 16 bits in `BitsPerSample`. The sample
      values may also be statistics of one image, so they count only if they are the full range of
      some number of bits.
    - PNG: the significant bits of the chunk `sBIT`.
    - PGM: Pillow scales the values to 16 bits.

    Args:
        image: The opened file, at the page that is read.
        data: The bytes of the file.
    """
    if image.format == "PNG":
        return None, _of_bits(_significant_bits(data))
    if image.format == "PPM":
        return None, 65535
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return NOT_STATED
    black, white = _number(tags.get(_BLACK_LEVEL)), _number(tags.get(_WHITE_LEVEL))
    if white is not None:
        return black, white
    highest = _number(tags.get(_SMAX_SAMPLE))
    if highest in _FULL:
        return _number(tags.get(_SMIN_SAMPLE)) if black is None else black, highest
    highest = _number(tags.get(_MAX_SAMPLE))
    bits = _number(tags.get(_BITS_PER_SAMPLE))
    return black, highest if highest in _FULL else _of_bits(bits)


def _of_bits(bits: int | None) -> int | None:
    """The highest value of some number of bits, if it is neither that of 8 nor that of 16 bits."""
    return 2**bits - 1 if bits is not None and 8 < bits < 16 else None


def _number(value: Any) -> int | None:
    """A tag as a whole number, if it is one and the same for all channels."""
    values = set(value) if isinstance(value, tuple) else {value}
    try:
        (single,) = values
        return int(single) if int(single) == single else None
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _significant_bits(data: bytes) -> int | None:
    """The significant bits of the channels of a PNG file, alpha left out, if all have as many."""
    at = _SIGNATURE_LENGTH
    while (kind := data[at + 4 : at + 8]) and kind != b"IDAT":
        length = int.from_bytes(data[at : at + 4], "big")
        if kind == b"sBIT":
            bits = data[at + 8 : at + 8 + length]
            colours = bits[: {2: 1, 4: 3}.get(length, length)]
            return _number(tuple(colours))
        at += length + 12
    return None
