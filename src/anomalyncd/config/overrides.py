"""One switchboard for all that a comparison may vary: settings by their dotted names."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from anomalyncd.errors import InputError

Changed = TypeVar("Changed")


def with_overrides(config: Changed, changes: Mapping[str, Any]) -> Changed:
    """Settings with some of them changed.

    Examples:
        >>> changed(Settings(), {"encoder.guidance": "none"}).encoder.guidance
        'none'

    Args:
        config: What the changes start from: `Config`, or another dataclass, whose fields have
            no stage before their names.
        changes: New values by stage and name, such as `{"training.correction": "none"}`; a list,
            which is what YAML has, stands for a tuple.

    Raises:
        InputError: There is no such setting, or the value cannot be used.
    """
    by_stage: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        kind = _kinds(config).get(name)
        if kind is None:
            raise InputError(f"setting '{name}' is not known; {_remedy(config, name)}")
        value = _with_tuples(value)
        if not _fits(value, kind):
            raise InputError(f"setting {name}={value!r} cannot be used; use {_in_words(kind)}")
        stage, _, short = name.rpartition(".")
        by_stage.setdefault(stage, {})[short] = value
    values = by_stage.pop("", {})
    for stage, of_stage in by_stage.items():
        values[stage] = replace(getattr(config, stage), **of_stage)
    return replace(config, **values)  # type: ignore[type-var]


def _kinds(config: Any) -> dict[str, Any]:
    """Type of each setting by its dotted name."""
    kinds: dict[str, Any] = {}
    hints = get_type_hints(type(config))
    for one in fields(config):
        value = getattr(config, one.name)
        if is_dataclass(value):
            kinds |= {f"{one.name}.{name}": kind for name, kind in _kinds(value).items()}
        else:
            kinds[one.name] = hints[one.name]
    return kinds


def _remedy(config: Any, name: str) -> str:
    known = list(_kinds(config))
    same = [one for one in known if one.rpartition(".")[2] == name]
    close = same or get_close_matches(name, known, n=2)
    if close:
        return f"did you mean {' or '.join(close)}?"
    names = ", ".join(one.name for one in fields(config)) or "none, it has no settings"
    staged = any("." in one for one in known)
    return f"use STAGE.NAME, with one of the stages {names}" if staged else f"use {names}"


def _with_tuples(value: Any) -> Any:
    return tuple(_with_tuples(one) for one in value) if isinstance(value, list) else value


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of the type that a setting is declared with."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in members
    if origin in (Union, UnionType):
        return any(_fits(value, member) for member in members)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if members[-1] is Ellipsis:
            return all(_fits(one, members[0]) for one in value)
        return len(value) == len(members) and all(map(_fits, value, members))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
