"""What a person wrote into a table file, taken out value by value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import yaml

from anomalyncd.backbone.weights import DEFAULT_BACKBONE
from anomalyncd.errors import InputError
from anomalyncd.inputs.layouts import LAYOUTS


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


Combined: TypeAlias = Literal["unscored", "dropped", "scored"]
Kind: TypeAlias = Literal["zero_shot", "normals", "masks", "given"]
BUILT_IN: tuple[Kind, ...] = ("zero_shot", "normals", "masks")
"""Sources of maps that need no folder."""
NO_MAPS = "no_maps"
"""Stands for the source of methods that look at no maps."""


@dataclass(frozen=True)
class SetEntry:
    """A data set, or one category of it."""

    name: str
    group: str
    """The data set; its own name where it has no categories."""
    folder: str
    """A folder or a manifest, as for `AnomalyNCD.fit`; of a layout, its folder."""
    layout: str | None = None
    """One of `LAYOUTS`; None where the folder is taken as it is."""
    category: str | None = None
    combined: Combined = "unscored"
    """What becomes of images that show several kinds of defects."""
    published: str | None = None
    """Whose published scores stand beside ours."""


@dataclass(frozen=True)
class SourceEntry:
    """Where the anomaly maps come from."""

    name: str
    kind: Kind
    maps: str | None = None
    """Folder of given maps; "{set}" in it stands for the name of the set."""
    normal_maps: str | None = None
    """Of the normal images, where given maps were made with such."""

    @property
    def with_normals(self) -> bool:
        """Whether normal images had a part in the maps."""
        return self.kind == "normals" or self.normal_maps is not None


@dataclass(frozen=True)
class MethodEntry:
    """A rival, or one of our estimators with a preset."""

    name: str
    method: str
    preset: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the preset, by dotted names."""


@dataclass(frozen=True)
class TableEntry:
    """All that a table file says."""

    name: str
    sets: tuple[SetEntry, ...]
    sources: tuple[SourceEntry, ...]
    methods: tuple[MethodEntry, ...]
    seeds: tuple[int, ...]
    base: str | None
    """Labelled defects of other products."""
    maps_per_seed: bool
    """Whether each seed has maps of its own; else all take those of seed 0."""
    backbone: str
    detector: Mapping[str, Any]
    """What differs from the default settings of the built-in detectors."""


def read_table_file(path: Path) -> TableEntry:
    """Reads and checks what is written, before anything that it names is opened.

    Args:
        path: YAML; docs/guide/bench.md says what may stand in it.

    Raises:
        InputError: Missing, no YAML, or an entry that is unknown, missing or of a wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"table file '{path}' cannot be read ({error}); check it") from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise InputError(f"table file '{path}' is no YAML ({said}); correct it") from error
    entry = Entry(content, f"table file '{path}'")
    sets = [
        one for name, given in entry.mapping("sets").items() for one in _sets(name, given, entry)
    ]
    table = TableEntry(
        name=entry.text("name", path.stem),
        sets=tuple(sets),
        sources=tuple(_source(one, entry) for one in entry.items("sources", ["zero_shot"])),
        methods=tuple(_method(one, entry) for one in entry.items("methods")),
        seeds=_seeds(entry.take("seeds", 3), entry),
        base=entry.optional("base"),
        maps_per_seed=entry.choice("maps_per_seed", (False, True), False),
        backbone=entry.text("backbone", DEFAULT_BACKBONE),
        detector=entry.mapping("detector", {}),
    )
    entry.finish()
    for what, names in (
        ("sets", [one.name for one in table.sets]),
        ("sources", [one.name for one in table.sources]),
        ("methods", [one.name for one in table.methods]),
    ):
        _refuse_alike(what, names, entry)
    return table


def file_name(name: str) -> str:
    """A name as that of a file: small letters, digits and underscores."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _sets(name: str, given: Any, table: Entry) -> list[SetEntry]:
    entry = Entry({"folder": given} if isinstance(given, str) else given, f"{table.where}, {name}")
    layout = entry.optional("layout")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"{entry.where} has layout={layout!r}; use one of {', '.join(LAYOUTS)}")
    folder, published = entry.text("folder"), entry.optional("published")
    combined = entry.choice("combined", get_args(Combined), "unscored")
    categories: list[str | None] = [str(one) for one in entry.items("categories", [])]
    entry.finish()
    return [
        SetEntry(one or str(name), str(name), folder, layout, one, combined, published)
        for one in categories or [None]
    ]


def _source(given: Any, table: Entry) -> SourceEntry:
    for kind in BUILT_IN:
        if given == kind:
            return SourceEntry(kind, kind)
    if isinstance(given, str):
        raise InputError(
            f"{table.where} has the source {given!r}; use one of {', '.join(BUILT_IN)}, or "
            "'name:' and 'maps: FOLDER'"
        )
    entry = Entry(given, f"{table.where}, sources")
    name, maps, normal_maps = entry.text("name"), entry.text("maps"), entry.optional("normal_maps")
    entry.finish()
    if file_name(name) in (*BUILT_IN, NO_MAPS):
        raise InputError(f"{entry.where} has name={name!r}, which means something else; rename it")
    return SourceEntry(name, "given", maps, normal_maps)


def _method(given: Any, table: Entry) -> MethodEntry:
    entry = Entry({"method": given} if isinstance(given, str) else given, f"{table.where}, methods")
    method, preset = entry.text("method"), entry.optional("preset")
    name = entry.text("name", f"{method} {preset}" if preset else method)
    config = entry.mapping("config", {})
    entry.finish()
    return MethodEntry(name, method, preset, config)


def _seeds(given: Any, table: Entry) -> tuple[int, ...]:
    seeds = list(range(given)) if type(given) is int else given
    if not (isinstance(seeds, list) and seeds and all(type(one) is int for one in seeds)):
        raise InputError(
            f"{table.where} has seeds={given!r}; give how many, or a list such as [0, 1]"
        )
    return tuple(dict.fromkeys(seeds))


def _refuse_alike(what: str, names: list[str], table: Entry) -> None:
    files = [file_name(name) for name in names]
    for index, name in enumerate(names):
        if not files[index]:
            raise InputError(f"{table.where} has {name!r} among its {what}; use letters or digits")
        if files[index] in files[:index]:
            raise InputError(
                f"{table.where} has two {what} called {name!r}, or nearly so; give one of them "
                "another name"
            )
