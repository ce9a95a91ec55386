"""Recognises the tensors of PyTorch without importing it."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeGuard

    from torch import Tensor


def is_tensor(thing: object) -> "TypeGuard[Tensor]":
    """Whether an object is a tensor; nothing can be one where PyTorch was never imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.Tensor)


def is_module(thing: object) -> bool:
    """Whether an object is a module of a network, see `is_tensor`."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)
