"""A table to be measured, as a person writes it down in YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import yaml

from anomalyncd.data.layouts.prepare import LAYOUTS
from anomalyncd.errors import InputError
from anomalyncd.evaluation.bench.entries import Entry
from anomalyncd.model.weights import DEFAULT_BACKBONE

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
    settings: Mapping[str, Any] = field(default_factory=dict)
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
    settings = entry.mapping("settings", {})
    entry.finish()
    return MethodEntry(name, method, preset, settings)


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
