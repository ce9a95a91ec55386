"""Settings with some of them changed by name."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from anomalyncd.errors import InputError

Changed = TypeVar("Changed")


def changed(value: Changed, changes: Mapping[str, Any], where: str) -> Changed:
    """A copy of a dataclass with other values.

    Args:
        value: A dataclass, such as `Settings`.
        changes: Dotted name of a field to its value, `{"training.epochs": 10}`; lists stand for
            tuples.
        where: Where the changes are written, for messages.

    Raises:
        InputError: No such field, or a value that it does not take.
    """
    for name, given in changes.items():
        value = _with_one(value, str(name).split("."), given, f"{where} '{name}'")
    return value


def _with_one(value: Any, names: list[str], given: Any, where: str) -> Any:
    known = [field.name for field in fields(value)]
    if names[0] not in known:
        near = get_close_matches(names[0], known, n=1) or [", ".join(known) or "nothing"]
        raise InputError(f"{where} is not known; use {near[0]}")
    before = getattr(value, names[0])
    if len(names) > 1 and not is_dataclass(before):
        raise InputError(f"{where} is not known; '{names[0]}' holds a single value")
    if len(names) > 1:
        return replace(value, **{names[0]: _with_one(before, names[1:], given, where)})
    hint = get_type_hints(type(value))[names[0]]
    if is_dataclass(before):
        inner = ", ".join(f"{names[0]}.{field.name}" for field in fields(before))
        raise InputError(f"{where} holds several values; name one of them, such as {inner}")
    plain = _as_tuple(given)
    if not _fits(plain, hint):
        raise InputError(f"{where} cannot be {given!r}; it is {before!r} by default")
    return replace(value, **{names[0]: plain})


def _as_tuple(given: Any) -> Any:
    return tuple(_as_tuple(one) for one in given) if isinstance(given, list) else given


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
