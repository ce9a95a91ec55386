"""The state of a label book: classes and what a person said, as the log of actions gives it."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from anomalyncd.errors import InputError
from anomalyncd.labels.damage import refuse_odd_action
from anomalyncd.labels.names import folded

NORMAL = 0
"""Id of the normal class, in every label book."""
NORMAL_NAME = "normal"
Kind: TypeAlias = Literal["defect", "not a defect", "ignored"]
"""What a class means for an image: `ignored` regions do not count at all."""
KINDS: tuple[Kind, ...] = get_args(Kind)
Severity: TypeAlias = Literal["", "minor", "major", "critical"]
"""As in sampling inspection (ISO 2859); "" where nobody said."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
PALETTE = (
    *("#7f8b96", "#d1495b", "#1b77b8", "#b57c00", "#2e8b57"),
    *("#8452c4", "#c8622a", "#1793a5", "#b04a94"),
)
"""Colours of classes as in the report: that of the normal class, then the others in turn."""

_DAMAGED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)

PERMANENT = frozenset({"discovered", "corrected", "grown"})
"""Actions of the program, which are not undone."""


@dataclass(frozen=True)
class LabelClass:
    """A class as a person describes it."""

    id: int
    """Never changes its meaning, and is never used again."""
    name: str
    description: str = ""
    colour: str = ""
    """`#rrggbb`."""
    kind: Kind = "defect"
    severity: Severity = ""
    escape_cost: float | None = None
    """What it costs when a defect of this class passes; None where nobody said."""
    examples: tuple[int, ...] = ()
    """Ids of regions that show the class well."""
    counter_examples: tuple[int, ...] = ()
    """Ids of regions that resemble the class and do not belong to it."""
    merged_into: int | None = None
    """The class that took its regions; None for a class in use."""


@dataclass(frozen=True)
class Action:
    """One row of the log."""

    number: int
    """Counts the rows from 1."""
    time: str
    """UTC, ISO 8601."""
    author: str
    name: str
    arguments: dict[str, Any]


@dataclass(eq=False)
class LabelState:
    """Classes and what was said of regions and images after some actions."""

    classes: dict[int, LabelClass] = field(default_factory=dict)
    """By id, merged ones included."""
    names: dict[int, set[str]] = field(default_factory=dict)
    """By id: all names that a class has had, folded."""
    discovered: list[int] = field(default_factory=list)
    """Id that each class of the discovery was given, before any merging."""
    discovery: int = 0
    """Number of the action that recorded this discovery."""
    discovered_regions: list[int] | None = None
    """Ids of its regions; None in books of versions that did not record them."""
    regions: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    """By id of the region: number of the action that said it, and the class or None."""
    images: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """The same by name of the image, for all of its regions."""
    undoable: Action | None = None
    """What `undo` would take back."""
    redoable: Action | None = None
    """What `redo` would do again."""
    last: int = 0
    """Number of the last action."""
    next_id: int = 0
    """Id of the next class; ids of classes that were undone stay used."""

    def resolve(self, class_id: int) -> int:
        """Returns the class that a class was merged into, or the class itself."""
        while (into := self.classes[class_id].merged_into) is not None:
            class_id = into
        return class_id

    def find(self, name: str, class_id: int | None = None) -> int | None:
        """The class in use that a label from elsewhere is about; None where there is none yet.

        Args:
            name: Of the class in the label. The name of a class that was merged stands for the one
                that took its regions, unless a class in use has that name.
            class_id: Its id in this label book; it counts if the class has ever had that name.
        """
        wanted = folded(name)
        if class_id is not None and wanted in self.names.get(class_id, ()):
            return self.resolve(class_id)
        of_name = [one for one in self.classes.values() if folded(one.name) == wanted]
        in_use = [one.id for one in of_name if one.merged_into is None]
        if in_use or not of_name:
            return in_use[0] if in_use else None
        return self.resolve(max(one.id for one in of_name))

    @property
    def in_use(self) -> list[LabelClass]:
        """The classes that were not merged into others, by id."""
        return [one for _, one in sorted(self.classes.items()) if one.merged_into is None]


def class_names(n_classes: int) -> list[str]:
    """ "normal", "class 1", "class 2", ... until a person gives better names."""
    return [NORMAL_NAME] + [f"class {index}" for index in range(1, n_classes)]


def first_colour(class_id: int) -> str:
    """Colour of a class until a person chooses another one."""
    return PALETTE[0] if class_id == NORMAL else PALETTE[(class_id - 1) % (len(PALETTE) - 1) + 1]


def free_name(class_id: int, taken: Collection[str]) -> str:
    """Name of a class that nobody has named, with a number behind it where that is in use.

    Args:
        class_id: The class.
        taken: Names of the other classes.
    """
    name = free = f"class {class_id}"
    folded, number = {one.casefold() for one in taken}, 2
    while free.casefold() in folded:
        free, number = f"{name} ({number})", number + 1
    return free


def replay(actions: Sequence[Action]) -> LabelState:
    """Returns the state after all actions; what was undone does not count.

    Raises:
        InputError: An action is none that a label book writes.
    """
    try:
        return _replayed(actions)
    except _DAMAGED as error:
        raise InputError(
            f"the label book is damaged ({error!r}); put a copy of labels.sqlite in its place, or "
            "delete it to start anew"
        ) from error


def _replayed(actions: Sequence[Action]) -> LabelState:
    permanent: list[Action] = []
    active: list[Action] = []
    undone: list[Action] = []
    for action in actions:
        refuse_odd_action(action.name, action.arguments)
        if action.name in PERMANENT:
            permanent.append(action)
        elif action.name == "undo":
            undone.append(active.pop())
        elif action.name == "redo":
            active.append(undone.pop())
        else:
            active.append(action)
            undone.clear()
    state = LabelState()
    for action in sorted([*permanent, *active], key=lambda one: one.number):
        _APPLY[action.name](state, action.number, action.arguments)
    _refuse_odd_classes(state)
    state.undoable = active[-1] if active else None
    state.redoable = undone[-1] if undone else None
    state.last = actions[-1].number if actions else 0
    state.next_id = 1 + max((one for action in actions for one in _made(action)), default=-1)
    return state


def _refuse_odd_classes(state: LabelState) -> None:
    """Raises for classes that no label book writes, and for those merged into one another."""
    for one in state.classes.values():
        texts = (one.name, one.description, one.colour)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"class {one.id} is described by other things than text")
        numbers = (*one.examples, *one.counter_examples)
        cost = 0.0 if one.escape_cost is None else one.escape_cost
        if not all(type(number) is int for number in numbers) or type(cost) not in (int, float):
            raise TypeError(f"class {one.id} has examples or costs that are no numbers")
        if not re.fullmatch("(#[0-9a-fA-F]{6})?", one.colour):
            raise ValueError(f"class {one.id} has a colour that is none")
        if one.kind not in KINDS or one.severity not in SEVERITIES:
            raise ValueError(f"class {one.id} is of no known kind or severity")
        into, steps = one, 0
        while into.merged_into is not None:
            into, steps = state.classes[into.merged_into], steps + 1
            if steps > len(state.classes):
                raise ValueError(f"class {one.id} was merged into itself")
    if NORMAL not in state.classes and state.classes:
        raise ValueError("there is no normal class")


def _made(action: Action) -> list[int]:
    """Ids of the classes that an action makes."""
    return [int(one["id"]) for one in action.arguments.get("make", ())]


def _make(state: LabelState, number: int, arguments: dict[str, Any]) -> None:
    for made in arguments.get("make", ()):
        class_id = int(made["id"])
        colour = made.get("colour") or first_colour(class_id)
        kind: Kind = "not a defect" if class_id == NORMAL else "defect"
        state.classes[class_id] = LabelClass(class_id, made["name"], colour=colour, kind=kind)
        state.names[class_id] = {folded(made["name"])}
        _say(state, number, class_id, made)


def _discovered(state: LabelState, number: int, arguments: dict[str, Any]) -> None:
    _make(state, number, arguments)
    state.discovered, state.discovery = list(arguments["classes"]), number
    # A person made it before and took that back since, while regions of the discovery are in it.
    for class_id in set(state.discovered) - state.classes.keys():
        name = free_name(class_id, [one.name for one in state.in_use])
        state.classes[class_id] = LabelClass(class_id, name, colour=first_colour(class_id))
        state.names[class_id] = {folded(name)}
    state.discovered_regions = arguments.get("regions")
    same: list[tuple[int, int]] = [tuple(pair) for pair in arguments.get("same_regions", ())]
    for old, new in same:
        if old in state.regions:
            # What was said last holds, also where the new place is one of long ago.
            state.regions[new] = max(
                state.regions[old], state.regions.get(new, (0, None)), key=lambda said: said[0]
            )
    _replace_examples(state, dict(reversed(same)))


def _replace_examples(state: LabelState, successors: dict[int, int]) -> None:
    """Puts the regions of a new discovery in the place of earlier ones among all examples."""
    for class_id, one in state.classes.items():
        examples, counter_examples = (
            tuple(dict.fromkeys(successors.get(region, region) for region in regions))
            for regions in (one.examples, one.counter_examples)
        )
        state.classes[class_id] = replace(one, examples=examples, counter_examples=counter_examples)


def _edit(state: LabelState, _: int, arguments: dict[str, Any]) -> None:
    changes = {name: value for name, value in arguments.items() if name != "class"}
    for name in ("examples", "counter_examples"):
        if name in changes:
            changes[name] = tuple(changes[name])
    class_id = int(arguments["class"])
    state.classes[class_id] = replace(state.classes[class_id], **changes)
    state.names[class_id].add(folded(state.classes[class_id].name))


def _assign(state: LabelState, number: int, arguments: dict[str, Any]) -> None:
    _make(state, number, arguments)
    for said in arguments["said"]:
        _say(state, number, said["class"], said)


def _say(state: LabelState, number: int, class_id: int | None, said: dict[str, Any]) -> None:
    for region in said.get("regions", ()):
        state.regions[int(region)] = (number, class_id)
    for image in said.get("images", ()):
        state.images[str(image)] = (number, class_id)


def _merge(state: LabelState, _: int, arguments: dict[str, Any]) -> None:
    into = int(arguments["into"])
    for class_id in arguments["classes"]:
        state.classes[class_id] = replace(state.classes[class_id], merged_into=into)


def _nothing(state: LabelState, number: int, arguments: dict[str, Any]) -> None:
    """For actions that are worth a line in the history and change no label."""


_APPLY: dict[str, Callable[[LabelState, int, dict[str, Any]], None]] = {
    "discovered": _discovered,
    "edit": _edit,
    "assign": _assign,
    "confirm": _assign,
    "new class": _assign,
    "split": _assign,
    "import": _assign,
    "merge": _merge,
    "corrected": _nothing,
    "grown": _nothing,
}
ACTIONS = frozenset({*_APPLY, "undo", "redo"})
"""Names of all actions."""
