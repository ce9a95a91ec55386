"""What a person wrote into a table file, taken out value by value."""

from difflib import get_close_matches
from typing import Any

from anomalyncd.errors import InputError


class Entry:
    """A mapping whose keys are taken one by one; what is left over is unknown."""

    def __init__(self, content: Any, where: str) -> None:
        if not isinstance(content, dict):
            raise InputError(f"{where} holds no 'name: value' lines; write such, as the guide says")
        self.where = where
        self._left = {str(key): value for key, value in content.items()}
        self._known: list[str] = []

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default where it is missing or blank."""
        self._known.append(key)
        value = self._left.pop(key, None)
        return default if value is None else value

    def _typed(self, key: str, kind: type, said: str, default: Any) -> Any:
        value = self.take(key, default)
        if value is None or (kind is not str and not value and default is None):
            raise InputError(f"{self.where} lacks '{key}'; add it")
        if not isinstance(value, kind):
            raise InputError(f"{self.where} has {key}={value!r}; give {said}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        return str(self._typed(key, str, "a text", default))

    def optional(self, key: str) -> str | None:
        """A text, or None."""
        return self.text(key, "") or None

    def items(self, key: str, default: Any = None) -> list[Any]:
        """A list; without a default it must be there, and not empty."""
        value: list[Any] = self._typed(key, list, "a list", default)
        return value

    def mapping(self, key: str, default: Any = None) -> dict[str, Any]:
        """Lines of names and values, as `items`."""
        value: dict[str, Any] = self._typed(key, dict, "'name: value' lines", default)
        return value

    def choice(self, key: str, known: tuple[Any, ...], default: Any) -> Any:
        """One of the values known."""
        value = self.take(key, default)
        if value not in known:
            raise InputError(
                f"{self.where} has {key}={value!r}; use one of {', '.join(map(str, known))}"
            )
        return value

    def finish(self) -> None:
        """Raises if something was not taken, and so is unknown."""
        for key in self._left:
            near = get_close_matches(key, self._known, n=1) or [", ".join(sorted(self._known))]
            raise InputError(f"{self.where} has an unknown entry '{key}'; use {near[0]}")
