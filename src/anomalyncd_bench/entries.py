"""The file of a table: which methods are compared on which data sets, as YAML."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE
from anomalyncd.errors import InputError
from anomalyncd.inputs.layouts import LAYOUTS
from anomalyncd_bench.published import PUBLISHED

BuiltIn: TypeAlias = Literal["zero_shot", "normals", "masks"]
BUILT_IN = ("zero_shot", "normals", "masks")
"""Map sources that need no folder."""
NO_MAPS = "no_maps"
"""Stands for the map source of methods that use no maps."""


def file_name(name: str) -> str:
    """A name as that of a file: lower-case letters, digits and underscores."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _short(field: str) -> BeforeValidator:
    """Lets a text stand for an entry of which only one field is given."""
    return BeforeValidator(lambda value: {field: value} if isinstance(value, str) else value)


def _one_of(*known: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"use one of {', '.join(known)}")
        return value

    return AfterValidator(check)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    if re.compile(value).groups != 1:
        raise ValueError("a regular expression with one number in brackets, such as '_([0-9]+)'")
    return value


Text = Annotated[str, Field(min_length=1)]
Number = Annotated[Text, AfterValidator(_pattern)]
"""A regular expression that finds a number in the name of an image, in brackets."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class SeriesEntry(_Entry):
    """How the names of images tell which of them show the same part.

    Each part was photographed several times. Within a class, in the order in which images were
    taken, another part begins where the number of the photograph does not rise.
    """

    photograph: Number
    """Which photograph of its part an image is."""
    order: Number
    """The order in which images were taken."""


class DataSetEntry(_Entry):
    """A data set, as it is written."""

    folder: Text
    """A folder or a manifest, as for `AnomalyNCD.fit`; with a layout, the folder of the data."""
    layout: Annotated[Text, _one_of(*LAYOUTS)] | None = None
    """One of `LAYOUTS`; None uses the folder as it is."""
    categories: list[Text] = []
    """Products in sub-folders, or categories of the layout."""
    combined: Literal["unscored", "dropped", "scored"] = "unscored"
    """What happens to images with several kinds of defects."""
    series: SeriesEntry | None = None
    """Which images show the same part; intervals resample parts. None takes every image for a part
    of its own."""
    published: Annotated[Text, _one_of(*PUBLISHED)] | None = None
    """Name of the data set in the tables of the papers."""


class SetEntry(DataSetEntry):
    """A data set, or one category of it."""

    name: str
    group: str
    """The data set; its own name if it has no categories."""
    category: str | None


class SourceEntry(_Entry):
    """Where the anomaly maps come from."""

    name: Text
    kind: Literal[BuiltIn, "given"]
    maps: Text | None = None
    """Folder of given maps; "{set}" in it stands for the name of the set."""
    normal_maps: Text | None = None
    """The same for the normal images, if the maps were made with normal images."""
    detector: dict[str, Any] = {}
    """Changed fields of the built-in detector, for this source only."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in BUILT_IN:
                raise ValueError(f"use one of {', '.join(BUILT_IN)}, or 'name:' and 'maps: FOLDER'")
            return {"name": value, "kind": value}
        return {"kind": "given", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check_fields_together(self) -> "SourceEntry":
        if file_name(self.name) in {*BUILT_IN, NO_MAPS} - {self.kind}:
            raise ValueError(f"the name {self.name!r} means something else; give another name")
        if (self.maps is None) == (self.kind == "given"):
            raise ValueError("give either 'maps: FOLDER' or a built-in 'kind:'")
        return self

    @property
    def with_normals(self) -> bool:
        """Whether the maps are made with normal images."""
        return self.kind == "normals" or self.normal_maps is not None


class MethodEntry(_Entry):
    """A baseline, a study, or one of our estimators with a preset."""

    method: Text
    preset: Text | None = None
    name: str = ""
    """By default the method and its preset."""
    config: dict[str, Any] = {}
    """Changed fields of the preset by dotted names, or fields of the baseline or study."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("name"):
            named = f"{value.get('method')} {value.get('preset') or ''}".strip()
            return value | {"name": named}
        return value


def _as_seeds(value: Any) -> Any:
    seeds = list(range(value)) if type(value) is int else value
    if not (isinstance(seeds, list) and seeds):
        raise ValueError("give their number, or a list such as [0, 1]")
    return list(dict.fromkeys(seeds))


class TableEntry(_Entry):
    """All that the file of a table contains."""

    name: Text
    data_sets: Annotated[
        dict[str, Annotated[DataSetEntry, _short("folder")]], Field(alias="sets", min_length=1)
    ]
    sources: list[SourceEntry] = [SourceEntry(name="zero_shot", kind="zero_shot")]
    methods: list[Annotated[MethodEntry, _short("method")]] = []
    """Without any, only the maps are scored."""
    seeds: Annotated[list[StrictInt], BeforeValidator(_as_seeds)] = [0, 1, 2]
    base: Text | None = None
    """Labelled defects of other products."""
    maps_per_seed: StrictBool = False
    """Whether each seed has maps of its own; otherwise all use those of seed 0."""
    backbone: Text = DEFAULT_BACKBONE
    detector: dict[str, Any] = {}
    """Changed fields of the built-in detectors."""

    @model_validator(mode="after")
    def _refuse_equal_names(self) -> "TableEntry":
        for what in ("sets", "sources", "methods"):
            files: set[str] = set()
            for entry in getattr(self, what):
                name = file_name(entry.name)
                if not name:
                    raise ValueError(f"the name {entry.name!r} among the {what} has no letter")
                if name in files:
                    raise ValueError(
                        f"two {what} are called {entry.name!r}, or nearly so; rename one of them"
                    )
                files.add(name)
        return self

    @property
    def sets(self) -> list[SetEntry]:
        """The data sets, those with categories divided."""
        return [one for name, entry in self.data_sets.items() for one in _categories(name, entry)]


def _categories(group: str, entry: DataSetEntry) -> Iterator[SetEntry]:
    categories: list[str | None] = [*entry.categories]
    for category in categories or [None]:
        yield SetEntry(**entry.model_dump(), name=category or group, group=group, category=category)


def read_table_file(path: Path) -> TableEntry:
    """Reads the file of a table and checks it before anything that it names is opened.

    Args:
        path: YAML, see docs/guide/bench.md.

    Raises:
        InputError: The file is missing, is no YAML, or has an entry that is unknown or cannot be
            used.
    """
    where = f"table file '{path}'"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where} cannot be read ({error}); check it") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{where} is no YAML ({reason}); correct it") from error
    if not isinstance(content, dict):
        raise InputError(f"{where} holds no 'name: value' lines; see docs/guide/bench.md")
    try:
        return TableEntry.model_validate({"name": path.stem} | content)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"'{place}' is missing; add it"
    if fault["type"] == "extra_forbidden":
        return f"'{place}' is unknown; use {_nearest_field(fault['loc'])}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "literal_error":
        message = f"use one of {fault['ctx']['expected'].replace(' or ', ', ')}".replace("'", "")
    is_entry = isinstance(fault["input"], dict)
    value = "" if is_entry or not place else f"={fault['input']!r} cannot be used"
    return f"{place}{value}; {message}".lstrip("; ")


def _nearest_field(place: tuple[int | str, ...]) -> str:
    entries: dict[str, type[BaseModel]]
    entries = {"sets": DataSetEntry, "sources": SourceEntry, "methods": MethodEntry}
    model = entries[str(place[0])] if len(place) > 1 else TableEntry
    known = [field.alias or name for name, field in model.model_fields.items()]
    return (get_close_matches(str(place[-1]), known, n=1) or [", ".join(known)])[0]
