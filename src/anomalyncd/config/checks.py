"""What settings have to be."""

from anomalyncd.errors import InputError


def require(condition: bool, name: str, value: object, remedy: str) -> None:
    """Raises an `InputError` that names the setting unless it can be used."""
    if not condition:
        raise InputError(f"setting {name}={value!r} cannot be used; {remedy}")
