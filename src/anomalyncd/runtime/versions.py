"""Optional packages that are installed, but too old."""

from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from anomalyncd.errors import InputError


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
    for needed in map(Requirement, stated):
        if needed.name == package and not needed.specifier.contains(found, prereleases=True):
            raise InputError(
                f"{package} {found} is installed, but this needs {package}{needed.specifier}; "
                f"pip install '{package}{needed.specifier}'"
            )
