"""Frozen dataclasses that pydantic validates, with errors that name the remedy."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import pydantic.dataclasses
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from anomalyncd.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""
NonNegative = Annotated[float, Field(ge=0)]
"""A number, 0 or more."""
Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""
Count = Annotated[int, Field(ge=1)]
"""A whole number, 1 or more."""

_STRICT = ConfigDict(
    strict=True,
    extra="forbid",
    validate_default=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,  # Descriptions in the JSON schema.
)
_RULE = "cross_field_rule"
_RANGES = {
    "greater_than": ("gt", "more than {:g}"),
    "greater_than_equal": ("ge", "{:g} or more"),
    "less_than": ("lt", "less than {:g}"),
    "less_than_equal": ("le", "{:g} or less"),
}
_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True)
def validated(stage: str) -> Callable[[type[Class]], type[Class]]:
    """Makes a class a frozen dataclass whose values are validated, by `replace` as well.

    Types are strict, so that "3" is not an int and True is not a number; but a list becomes a
    tuple and an int becomes a float, since JSON and YAML cannot tell them apart.

    Args:
        stage: Name of the class in error messages; empty leaves the names of fields as they are.

    Returns:
        A decorator. Instances raise `InputError` where pydantic would raise `ValidationError`.
    """

    def decorate(cls: type[Class]) -> type[Class]:
        made: Any = pydantic.dataclasses.dataclass(frozen=True, config=_STRICT)(cls)
        validating_init, accepted = made.__init__, signature(made)
        hints = get_type_hints(made, include_extras=True)

        @wraps(validating_init)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            values = accepted.bind(*args, **kwargs).arguments
            values = {name: _with_tuples(value) for name, value in values.items()}
            try:
                validating_init(self, **values)
            except ValidationError as error:
                raise _input_error(error, stage, hints, values) from error

        made.__init__ = init
        finished: type[Class] = made
        return finished

    return decorate


def require(condition: bool, name: str, value: object, remedy: str) -> None:
    """Refuses a combination of values; for the validators of a class that is `validated`."""
    if not condition:
        context = {"name": name, "value": value, "remedy": remedy}
        raise PydanticCustomError(_RULE, "{remedy}", context)


def validate_fields(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Validates values for an ordinary dataclass by the types of its fields.

    Args:
        cls: The dataclass.
        values: New values of some of its fields.

    Returns:
        The values, with tuples in place of lists and floats in place of ints where declared.

    Raises:
        InputError: A value cannot be used.
    """
    hints, valid = get_type_hints(cls, include_extras=True), {}
    for name, value in values.items():
        try:
            adapter = TypeAdapter(hints[name], config=_STRICT)
            valid[name] = adapter.validate_python(_with_tuples(value))
        except ValidationError as error:
            raise _input_error(error, "", {name: hints[name]}, {name: value}) from error
    return valid


def _with_tuples(value: Any) -> Any:
    return tuple(map(_with_tuples, value)) if isinstance(value, list | tuple) else value


def _input_error(
    error: ValidationError, stage: str, hints: Mapping[str, Any], values: Mapping[str, Any]
) -> InputError:
    """The first fault that pydantic has found, in one sentence."""
    fault = error.errors(include_url=False)[0]
    context = fault.get("ctx", {})
    if fault["type"] == _RULE:
        name, value = context["name"], context["value"]
    else:
        name = str(fault["loc"][0]) if fault["loc"] else next(iter(hints))
        value = values.get(name)
    remedy = _remedy(fault["type"], context, hints.get(name))
    where = f"{stage}.{name}" if stage else name
    return InputError(f"{where}={value!r} cannot be used; use {remedy}")


def _remedy(fault: str, context: Mapping[str, Any], hint: Any) -> str:
    if fault == _RULE:
        return str(context["remedy"])
    if fault == "value_error":
        return str(context["error"])
    if fault in _RANGES:
        limit, words = _RANGES[fault]
        optional = ", or None" if _is_optional(hint) else ""
        return words.format(context[limit]) + optional
    return "a finite number" if fault == "finite_number" else _in_words(hint)


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def _in_words(hint: Any) -> str:
    """What may be given for a type."""
    origin, members = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _in_words(members[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, members))}"
    if _is_optional(hint):
        return f"{_in_words(members[0])}, or None"
    if origin is tuple:
        items = _in_words(members[0]).removeprefix("a ") + "s"
        return f"a list of {items}" if members[-1] is Ellipsis else f"{len(members)} {items}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
