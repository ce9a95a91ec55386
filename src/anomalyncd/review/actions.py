"""What a page may do to the label book, each action checked before it is done."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from anomalyncd.errors import InputError
from anomalyncd.labels.book import LabelBook
from anomalyncd.labels.state import Kind, Severity
from anomalyncd.review.session import ReviewSession
from anomalyncd.runtime.wording import counted

Ids: TypeAlias = list[int]


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Edit(_Action):
    """Describes a class; what is left out stays as it is."""

    action: Literal["edit"]
    class_id: int = Field(alias="class")
    name: str | None = None
    description: str | None = None
    colour: str | None = None
    kind: Kind | None = None
    severity: Severity | None = None
    escape_cost: float | None = None
    examples: Ids | None = None
    counter_examples: Ids | None = None


class Move(_Action):
    """Moves regions to a class; without one it withdraws what was said of them."""

    action: Literal["move"]
    regions: Ids = Field(min_length=1)
    class_id: int | None = Field(alias="class")


class MoveImages(_Action):
    """Moves all regions of images."""

    action: Literal["move_images"]
    images: list[str] = Field(min_length=1)
    class_id: int | None = Field(alias="class")


class Confirm(_Action):
    """Says that regions belong to the classes in which the page shows them."""

    action: Literal["confirm"]
    regions: dict[int, Annotated[Ids, Field(min_length=1)]] = Field(min_length=1)


class NewClass(_Action):
    """Makes a class of regions."""

    action: Literal["new_class"]
    name: str
    regions: Ids = []


class Merge(_Action):
    """Merges classes into one."""

    action: Literal["merge"]
    into: int
    classes: Ids = Field(min_length=1)


class Split(_Action):
    """Makes a class of each part of a class."""

    action: Literal["split"]
    class_id: int = Field(alias="class")
    remaining: Ids
    parts: dict[str, Ids] = Field(min_length=1)


class Undo(_Action):
    """Takes the last action back; with a number only if that is the last one."""

    action: Literal["undo"]
    number: int | None = None


class Redo(_Action):
    """Does again what was taken back last."""

    action: Literal["redo"]


AnyAction: TypeAlias = Edit | Move | MoveImages | Confirm | NewClass | Merge | Split | Undo | Redo
_ADAPTER: TypeAdapter[AnyAction] = TypeAdapter(Annotated[AnyAction, Field(discriminator="action")])


def read_action(body: bytes) -> AnyAction:
    """Reads an action from JSON.

    Raises:
        InputError: It is no JSON, or no action, or a value of it cannot be used.
    """
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(one) for one in first["loc"][1:]) or "the action"
        reason = str(first["msg"]).lower()
        raise InputError(f"{place} cannot be used ({reason}); load the page again") from error


@dataclass(frozen=True)
class Done:
    """What came of an action."""

    number: int | None
    """Of the action in the label book; None for one that takes another back or does it again."""
    classes: Sequence[int] = ()
    """Ids of the classes that were made."""


def do(session: ReviewSession, action: AnyAction) -> Done:
    """Does what a page asks for.

    Raises:
        InputError: The label book refuses it.
    """
    done = _DO[type(action)](session, action)
    if isinstance(done, list):
        return Done(_number_of(session.labels, done[0]), done)
    return Done(done)


def _number_of(labels: LabelBook, class_id: int) -> int:
    """Number of the action that made a class."""
    return next(
        action.number
        for action in reversed(labels.history)
        if class_id in [one["id"] for one in action.arguments.get("make", ())]
    )


def _edit(session: ReviewSession, action: Edit) -> int:
    given = action.model_dump(exclude={"action", "class_id"}, exclude_none=True)
    if "escape_cost" in action.model_fields_set and action.escape_cost is None:
        given["escape_cost"] = math.nan
    return session.labels.edit(action.class_id, **given)


def _confirm(session: ReviewSession, action: Confirm) -> int:
    snapshot = session.now()
    shown = [(region, one) for one, regions in action.regions.items() for region in regions]
    unknown = [region for region, _ in shown if region not in snapshot.arrays.rows]
    if unknown:
        raise InputError(f"region {unknown[0]} is not in the run; load the regions again")
    moved = sum(snapshot.classes[snapshot.arrays.rows[region]] != one for region, one in shown)
    if moved:
        raise InputError(
            f"{counted(int(moved), 'region')} changed class meanwhile, so nothing was confirmed; "
            "look again and choose again"
        )
    return session.labels.confirm(action.regions)


def _new_class(session: ReviewSession, action: NewClass) -> list[int]:
    return [session.labels.new_class(action.name, action.regions)]


_DO: dict[type[BaseModel], Callable[[ReviewSession, Any], Any]] = {
    Edit: _edit,
    Move: lambda session, one: session.labels.move(one.regions, one.class_id),
    MoveImages: lambda session, one: session.labels.move_images(one.images, one.class_id),
    Confirm: _confirm,
    NewClass: _new_class,
    Merge: lambda session, one: session.labels.merge(one.into, one.classes),
    Split: lambda session, one: session.labels.split(one.class_id, one.remaining, one.parts),
    Undo: lambda session, one: session.labels.undo(one.number) and None,
    Redo: lambda session, _: session.labels.redo() and None,
}
