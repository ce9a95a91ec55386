"""Loops over arrays that are compiled."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function on its first call, so that threads may run it side by side.

    Args:
        function: Loops over numpy arrays, in numba's subset of Python.

    Returns:
        The compiled function, which releases the GIL. It is cached on disk between runs unless
        neither the package's folder nor the user's cache folder can be written.
    """
    return _compiled(function)


def compiled_with_sums(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, but numbers may be added in any order, several at once.

    Args:
        function: Loops whose sums are allowed to be rounded in another way on another processor.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    try:
        return numba.njit(cache=True, nogil=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
