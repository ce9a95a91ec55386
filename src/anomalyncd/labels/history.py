"""The history of a label book in plain sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anomalyncd.labels.state import PERMANENT, Action, LabelState
from anomalyncd.runtime.wording import counted

_PARTS = {"escape_cost": "escape cost", "counter_examples": "counter-examples"}


@dataclass(frozen=True)
class Line:
    """One line of the history."""

    action: Action
    text: str


def lines(actions: Sequence[Action], state: LabelState) -> list[Line]:
    """Puts all actions into words, with the names that the classes have now.

    Args:
        actions: All actions, in order.
        state: The state after them.
    """
    active: list[str] = []
    undone: list[str] = []
    result = []
    for action in actions:
        if action.name == "undo":
            undone.append(active.pop())
            text = f"undo: {undone[-1]}"
        elif action.name == "redo":
            active.append(undone.pop())
            text = f"redo: {active[-1]}"
        else:
            text = sentence(action, state)
            if action.name not in PERMANENT:
                active.append(text)
                undone.clear()
        result.append(Line(action, text))
    return result


def sentence(action: Action, state: LabelState) -> str:
    """Puts one action into words, such as "move 3 regions to scratch"."""
    arguments = action.arguments
    said = arguments.get("said", ())
    if action.name == "edit":
        parts = [_PARTS.get(one, one) for one in arguments if one != "class"]
        changed = ", ".join(parts) or "nothing"
        if parts == ["name"]:
            return f"name class {arguments['class']} {arguments['name']}"
        return f"change {changed} of {_name(arguments['class'], state)}"
    if action.name == "merge":
        merged = ", ".join(_name(one, state) for one in arguments["classes"])
        return f"merge {merged} into {_name(arguments['into'], state)}"
    if action.name == "new class":
        made = arguments["make"][0]
        return f"make class {made['name']} of {_what([made])}"
    if action.name == "split":
        made = " and ".join(one["name"] for one in arguments["make"])
        return f"split {made} off {_name(said[0]['class'], state)}"
    if action.name == "confirm":
        return f"confirm {_what(said)}"
    if action.name == "assign":
        if said[0]["class"] is None:
            return f"withdraw what was said of {_what(said)}"
        return f"move {_what(said)} to {_name(said[0]['class'], state)}"
    if action.name == "import":
        return f"add labels of {_what([*said, *arguments.get('make', ())])}"
    if action.name == "discovered":
        return f"{counted(len(arguments['classes']), 'class')} discovered"
    return {"corrected": "classes fitted to what was said", "grown": "regions added"}[action.name]


def concerns(action: Action, region: int, image: str) -> bool:
    """Whether an action says something of a region or of its whole image."""
    arguments = action.arguments
    parts = [*arguments.get("said", ()), *arguments.get("make", ())]
    return any(region in one.get("regions", ()) or image in one.get("images", ()) for one in parts)


def _what(parts: Sequence[dict[str, Any]]) -> str:
    n_regions = sum(len(one.get("regions", ())) for one in parts)
    n_images = sum(len(one.get("images", ())) for one in parts)
    if n_images and n_regions:
        return f"{counted(n_regions, 'region')} and {counted(n_images, 'image')}"
    return counted(n_images, "image") if n_images else counted(n_regions, "region")


def _name(class_id: int, state: LabelState) -> str:
    return state.classes[class_id].name if class_id in state.classes else "a class"
