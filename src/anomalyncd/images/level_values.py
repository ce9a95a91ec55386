"""Which levels of black and white a caller may give; nothing slow is imported here."""

from numbers import Integral

from anomalyncd.errors import InputError

HIGHEST = 65535
"""The highest value that a pixel can have."""


def refuse_levels(black: object, white: object) -> None:
    """Raises unless levels that were given can be used.

    Args:
        black: The black level; None where it was not given.
        white: The white level; None where it was not given.

    Raises:
        InputError: Names the argument and the values that it may have.
    """
    for name, value, least in (("black_level", black, 0), ("white_level", white, 1)):
        if value is None:
            continue
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or not least <= int(value) <= HIGHEST:  # type: ignore[call-overload]
            raise InputError(
                f"`{name}` {value!r} cannot be used; give a whole number, {least} to {HIGHEST}"
            )
    if isinstance(black, Integral) and isinstance(white, Integral) and black >= white:
        raise InputError(
            f"`black_level` {black} is not below `white_level` {white}; give a smaller one"
        )
