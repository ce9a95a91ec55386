"""What a page may do to the label book, each action checked before it is done."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from anomalyncd.errors import InputError
from anomalyncd.labels.state import Kind, Severity
from anomalyncd.review.session import ReviewSession

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
    """Says that regions belong to the classes that they are in."""

    action: Literal["confirm"]
    regions: Ids = Field(min_length=1)


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
    """Takes the last action back."""

    action: Literal["undo"]


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


def do(session: ReviewSession, action: AnyAction) -> list[int]:
    """Does what a page asks for.

    Returns:
        Ids of the classes that were made.

    Raises:
        InputError: The label book refuses it.
    """
    made = _DO[type(action)](session, action)
    return made if isinstance(made, list) else []


def _edit(session: ReviewSession, action: Edit) -> None:
    given = action.model_dump(exclude={"action", "class_id"}, exclude_none=True)
    if "escape_cost" in action.model_fields_set and action.escape_cost is None:
        given["escape_cost"] = math.nan
    session.labels.edit(action.class_id, **given)


def _confirm(session: ReviewSession, action: Confirm) -> None:
    snapshot = session.now()
    unknown = [region for region in action.regions if region not in snapshot.arrays.rows]
    if unknown:
        raise InputError(f"region {unknown[0]} is not in the run; load the regions again")
    by_class: dict[int, list[int]] = {}
    for region in action.regions:
        class_id = int(snapshot.classes[snapshot.arrays.rows[region]])
        by_class.setdefault(class_id, []).append(region)
    session.labels.confirm(by_class)


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
    Undo: lambda session, _: session.labels.undo() and None,
    Redo: lambda session, _: session.labels.redo() and None,
}
