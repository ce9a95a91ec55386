"""What a person may say: descriptions and classes that can be used."""

import math
import re
from collections.abc import Mapping
from typing import Any

from anomalyncd.errors import InputError
from anomalyncd.labels.state import KINDS, SEVERITIES, LabelClass, LabelState

LONGEST_DESCRIPTION = 10_000
"""Characters of a description at most."""


def require_class(state: LabelState, class_id: int) -> LabelClass:
    """Returns a class in use.

    Raises:
        InputError: It does not exist or was merged into another one.
    """
    found = state.classes.get(class_id)
    if found is None:
        known = ", ".join(str(one.id) for one in state.in_use)
        raise InputError(f"class {class_id} does not exist; the classes are {known}")
    if found.merged_into is not None:
        into = state.classes[state.resolve(class_id)]
        raise InputError(
            f"class {class_id} ('{found.name}') was merged into class {into.id} ('{into.name}'); "
            "use that one"
        )
    return found


def check_description(changes: Mapping[str, Any]) -> None:
    """Checks what is said of a class besides its name.

    Args:
        changes: Some of the arguments of `LabelBook.edit`.

    Raises:
        InputError: A value cannot be used.
    """
    colour, cost = changes.get("colour"), changes.get("escape_cost")
    text = changes.get("description", "")
    if len(text) > LONGEST_DESCRIPTION:
        raise InputError(
            f"the description has {len(text):,} characters; use {LONGEST_DESCRIPTION:,} at most"
        )
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise InputError("the description is not in UTF-8; type it again")
    if colour is not None and not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise InputError(f"'{colour}' is no colour; use #rrggbb")
    if "kind" in changes and changes["kind"] not in KINDS:
        raise InputError(f"'{changes['kind']}' is no kind of class; use one of {', '.join(KINDS)}")
    if "severity" in changes and changes["severity"] not in SEVERITIES:
        known = ", ".join(SEVERITIES[1:])
        raise InputError(f"'{changes['severity']}' is no severity; use one of {known}")
    if cost is not None and not (math.isfinite(cost) and cost >= 0):
        raise InputError(f"an escape cannot cost {cost}; use a number from 0 on")
