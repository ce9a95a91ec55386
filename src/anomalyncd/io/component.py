"""Learned components: saved and restored by their fields, without code of their own."""

import sys
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from anomalyncd.io.tensors import is_tensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class State:
    """What a component is restored from."""

    values: dict[str, Any] = field(default_factory=dict)
    """Plain values by field, as JSON can hold them; those of a component within lie one level
    deeper."""
    tensors: dict[str, "Tensor"] = field(default_factory=dict)
    """Tensors by field, "roi_locator.foreground.mean"."""


class Component:
    """Base of the frozen dataclasses that a fit produces and that a model file holds.

    Fields may be plain values, tensors, NumPy arrays, tuples of tensors, other components or
    dataclasses, and any of these or None.

    Examples:
        >>> @dataclass(frozen=True, eq=False)
        ... class Threshold(Component):
        ...     level: float
        >>> Threshold.from_state(Threshold(0.5).state()).level
        0.5
    """

    def state(self) -> State:
        """Returns everything that `from_state` needs."""
        return _state_of(self)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restores a component.

        Args:
            state: What `state` returned; lists may stand for tuples.

        Raises:
            KeyError, TypeError, ValueError: It does not belong to this class.
        """
        restored: Self = _restored(cls, state.values, state.tensors, "")
        return restored


def _state_of(component: Any) -> State:
    state = State()
    for one in fields(component):
        value = getattr(component, one.name)
        if isinstance(value, np.ndarray):
            import torch

            value = torch.from_numpy(np.ascontiguousarray(value))
        if is_tensor(value):
            state.tensors[one.name] = value
        elif isinstance(value, tuple) and value and all(map(is_tensor, value)):
            state.tensors.update({f"{one.name}.{i}": v for i, v in enumerate(value)})
        elif is_dataclass(value):
            inner = _state_of(value)
            state.values[one.name] = inner.values
            state.tensors.update({f"{one.name}.{name}": t for name, t in inner.tensors.items()})
        else:
            state.values[one.name] = value
    return state


def _restored(cls: Any, values: dict[str, Any], tensors: "dict[str, Tensor]", prefix: str) -> Any:
    hints = get_type_hints(cls)
    return cls(
        **{
            one.name: _field(hints[one.name], one.name, values, tensors, f"{prefix}{one.name}")
            for one in fields(cls)
        }
    )


def _field(
    hint: Any, name: str, values: dict[str, Any], tensors: "dict[str, Tensor]", at: str
) -> Any:
    """The value of one field, by the type that it is declared with."""
    if get_origin(hint) in (Union, UnionType):
        if name in values and values[name] is None:
            return None
        (hint,) = (member for member in get_args(hint) if member is not NoneType)
    if _is_tensor_type(hint):
        return tensors[at]
    if get_origin(hint) is np.ndarray:
        return np.asarray(tensors[at])
    if get_origin(hint) is tuple and _is_tensor_type(get_args(hint)[0]):
        count = sum(key.startswith(f"{at}.") for key in tensors)
        return tuple(tensors[f"{at}.{index}"] for index in range(count))
    if is_dataclass(hint):
        return _restored(hint, values[name], tensors, f"{at}.")
    if get_origin(hint) is tuple:
        return tuple(values[name])
    return float(values[name]) if hint is float else values[name]


def _is_tensor_type(hint: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and hint is torch.Tensor
