"""Whether results can be written to files that bear the names of the parts."""

import sys
from collections.abc import Iterable

from anomalyncd.errors import InputError

_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
_FORBIDDEN = frozenset('<>:"|?*\\')


def refuse_unwritable_names(names: Iterable[str], system: str = sys.platform) -> None:
    """Raises if masks and maps of some parts cannot be written, or would overwrite each other.

    On Linux every name can be; Windows and macOS hold "A/1" and "a/1" for the same file, and
    Windows refuses some names. Names come from other systems by network disks and from lists.

    Args:
        names: Of the parts.
        system: As `sys.platform` says it.

    Raises:
        InputError: Names the first such part.
    """
    if system not in ("win32", "darwin"):
        return
    seen: dict[str, str] = {}
    for name in names:
        if system == "win32" and not _can_be_on_windows(name):
            raise InputError(f"part '{name}' has a name that Windows does not allow; rename it")
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f"the names of parts '{other}' and '{name}' differ in case alone, so their results "
                "would be one file; rename one of them"
            )


def _can_be_on_windows(name: str) -> bool:
    *folders, last = name.split("/")
    return not (
        any(_FORBIDDEN & set(step) or _is_reserved(step) for step in (*folders, last))
        or any(step.endswith((".", " ")) for step in folders)
    )


def _is_reserved(step: str) -> bool:
    return step.split(".")[0].rstrip().casefold() in _RESERVED
