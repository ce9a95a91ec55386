"""Optional packages that are installed, but too old."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

from anomalyncd.errors import InputError

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)")


def refuse_old(package: str) -> None:
    """Refuses a package that is older than the one that anomalyncd asks for.

    Args:
        package: Its name at PyPI; one that is not installed passes.

    Raises:
        InputError: It is too old; the message names the command that renews it.
    """
    try:
        found = version(package)
        stated = requires("anomalyncd") or []
    except PackageNotFoundError:
        return
    for name, least in (one.groups() for one in map(_REQUIREMENT.match, stated) if one):
        if name == package and _numbers(found) < _numbers(least):
            raise InputError(
                f"{package} {found} is installed, but this needs {least} or newer; pip install "
                f"'{package}>={least}'"
            )


def _numbers(text: str) -> list[int]:
    return [int(one) for one in re.match(r"[\d.]*", text)[0].split(".") if one]  # type: ignore[index]
