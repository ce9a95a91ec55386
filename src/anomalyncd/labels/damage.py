"""What no version of the program writes into a label book: the marks of a damaged one."""

from typing import Any

from anomalyncd.labels.names import folded

_NEEDED = {
    **{"edit": ("class",), "merge": ("into", "classes"), "discovered": ("classes",)},
    **{"assign": ("said",), "confirm": ("said",), "new class": ("make",)},
    **{"split": ("said", "make"), "import": ("said", "make")},
    **dict.fromkeys(("corrected", "grown", "undo", "redo"), ()),
}
"""What each action has to state."""
_NOT_EMPTY = {"assign": "said", "new class": "make", "split": "said"}


def refuse_odd_action(name: str, arguments: dict[str, Any]) -> None:
    """Checks that an action states what it needs, so that it can be replayed and put into words.

    Args:
        name: Of the action.
        arguments: What it states.

    Raises:
        ValueError: It is of no known kind, or something is missing or of another kind.
    """
    lacking = [one for one in _NEEDED.get(name, ("name",)) if one not in arguments]
    if name not in _NEEDED or lacking:
        raise ValueError(f"action '{name}' is not known, or states too little")
    said, made = arguments.get("said", []), arguments.get("make", [])
    numbers = [arguments[one] for one in ("class", "into", "followed") if one in arguments]
    classes = arguments.get("classes", [])
    pairs, regions = arguments.get("same_regions", []), arguments.get("regions", [])
    if not all(isinstance(one, list) for one in (said, made, classes, pairs, regions)):
        raise ValueError(f"action '{name}' states something that is no list")
    for one in pairs:
        numbers += one
    for one in said:
        if one["class"] is not None:
            numbers.append(one["class"])
    for one in made:
        numbers.append(one["id"])
        folded(one["name"])
    for one in (*said, *made):
        numbers += one.get("regions", ())
        if not all(isinstance(image, str) for image in one.get("images", ())):
            raise ValueError(f"action '{name}' names an image by something else than text")
    if not all(type(one) is int for one in (*numbers, *classes, *regions)):
        raise ValueError(f"action '{name}' names a class or region by something else than a number")
    if not arguments.get(_NOT_EMPTY.get(name, ""), True):
        raise ValueError(f"action '{name}' is about nothing")
