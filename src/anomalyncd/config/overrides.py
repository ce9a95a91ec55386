"""Configs with some fields changed, by their dotted names."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic.dataclasses import is_pydantic_dataclass

from anomalyncd.config.validation import validate_fields
from anomalyncd.errors import InputError

Changed = TypeVar("Changed")


def with_overrides(config: Changed, changes: Mapping[str, Any]) -> Changed:
    """Returns a config with some fields changed.

    Examples:
        >>> from anomalyncd import Config
        >>> with_overrides(Config(), {"encoder.guidance": "none"}).encoder.guidance
        'none'

    Args:
        config: What the changes start from: a `Config`, or another dataclass, whose fields have no
            stage before their names.
        changes: New values by stage and field, such as `{"training.correction": "none"}`. A list
            stands for a tuple, since YAML has no tuples.

    Raises:
        InputError: There is no such field, or the value cannot be used.
    """
    known = _names(config)
    by_stage: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name not in known:
            raise InputError(f"config field '{name}' is not known; {_remedy(name, known)}")
        stage, _, field = name.rpartition(".")
        by_stage.setdefault(stage, {})[field] = value
    values = by_stage.pop("", {})
    for stage, stage_values in by_stage.items():
        values[stage] = _replaced(getattr(config, stage), stage_values)
    return _replaced(config, values)


def _replaced(config: Changed, values: dict[str, Any]) -> Changed:
    if not is_pydantic_dataclass(type(config)):
        values = validate_fields(type(config), values)
    return replace(config, **values)  # type: ignore[type-var]


def _names(config: Any) -> list[str]:
    """Dotted names of all fields that can be changed."""
    names: list[str] = []
    for field in fields(config):
        value = getattr(config, field.name)
        within = [f"{field.name}.{name}" for name in _names(value)] if is_dataclass(value) else []
        names += within or [field.name]
    return names


def _remedy(name: str, known: list[str]) -> str:
    same_field = [other for other in known if other.rpartition(".")[2] == name]
    close = same_field or get_close_matches(name, known, n=2)
    if close:
        return f"did you mean {' or '.join(close)}?"
    stages = ", ".join(dict.fromkeys(other.partition(".")[0] for other in known))
    if any("." in other for other in known):
        return f"use STAGE.FIELD, with one of the stages {stages}"
    return f"use {stages}" if known else "there are no fields to change"
