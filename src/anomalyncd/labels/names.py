"""Names of classes: which can be used, and when two of them are the same."""

import unicodedata
from collections.abc import Collection

from anomalyncd.errors import InputError

LONGEST_NAME = 80
"""Characters of a name at most."""
_JOINER = "\u200d"
"""Joins two emoji to one."""
_OF_EMOJI = frozenset({"\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))})
"""Follow an emoji: the choice of its picture, and tones of skin."""


def plain_name(name: str) -> str:
    """A name with single blanks between its words and none around them."""
    return " ".join(name.split())


def folded(name: str) -> str:
    """What two names have in common that are the same: blanks and the case do not count."""
    return plain_name(name).casefold()


def checked_name(name: str, taken: Collection[str]) -> str:
    """Returns the name of a class without blanks around it.

    Raises:
        InputError: It is empty, too long, is taken, or has a character that cannot be printed or
            changes the direction of writing. The joiner within an emoji is allowed.
    """
    name = plain_name(name)
    refused = next((one for place, one in enumerate(name) if not _is_visible(name, place)), None)
    if refused is not None:
        shown = "".join(one for one in name if one.isprintable())[:LONGEST_NAME]
        called = unicodedata.name(refused, "without a name").lower()
        raise InputError(
            f"the name '{shown}' has the character U+{ord(refused):04X} ({called}), which cannot "
            "be printed; leave it out"
        )
    if not name or len(name) > LONGEST_NAME:
        raise InputError(
            f"'{name[:LONGEST_NAME]}' cannot be the name of a class; use 1 to {LONGEST_NAME} "
            "characters"
        )
    if folded(name) in {folded(one) for one in taken}:
        raise InputError(f"there is a class '{name}' already; choose another name, or merge them")
    return name


def _is_visible(name: str, place: int) -> bool:
    """Whether a character can be printed, or joins two emoji."""
    if name[place] != _JOINER:
        return name[place].isprintable()
    before = name[:place].rstrip("".join(_OF_EMOJI))[-1:]
    return _is_symbol(before) and _is_symbol(name[place + 1 : place + 2])


def _is_symbol(character: str) -> bool:
    return bool(character) and unicodedata.category(character) == "So"
