"""What a table calls its methods, turned into what can be run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from anomalyncd.discovery import ESTIMATORS
from anomalyncd.errors import InputError
from anomalyncd.evaluation.bench.table_file import NO_MAPS, MethodEntry, SourceEntry
from anomalyncd.evaluation.rivals.inputs import Rival
from anomalyncd.evaluation.rivals.registry import RIVALS
from anomalyncd.evaluation.switchboard import Changed, changed
from anomalyncd.settings import PRESETS, Settings, resolve_settings

VIEWS = PRESETS["default"].views
"""Views of whole images that trained rivals see."""
_STAGES = ("mebin", "regions", "objects", "encoder", "views", "training", "merging")
"""Stages of one of our estimators that run in a benchmark; maps are made for all methods."""


@dataclass(frozen=True, eq=False)
class Method:
    """A rival, or one of our estimators."""

    name: str
    rival: Rival | None
    settings: Settings | None
    """As they hold with or without a base set; None of a rival."""

    @property
    def ours(self) -> bool:
        """Whether it is one of our estimators."""
        return self.rival is None

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `RivalInputs` that it cannot do without."""
        return frozenset({"maps"}) if self.rival is None else self.rival.needs

    def sources(self, sources: Sequence[SourceEntry]) -> tuple[str, ...]:
        """Names of the sources of a table that have results of their own, or `NO_MAPS`."""
        shown = tuple(one.name for one in sources if self.belongs_to(one))
        return shown if "maps" in self.needs or not shown else (NO_MAPS,)

    def belongs_to(self, source: SourceEntry) -> bool:
        """Whether it stands in the table of a source: with normal images only beside its likes."""
        return source.with_normals or "normals" not in self.needs

    def described(self) -> Any:
        """All that its result depends on besides its inputs, as plain values."""
        if self.settings is None:
            return repr(self.rival)
        stages = asdict(self.settings)
        return {stage: stages[stage] for stage in _STAGES}


def resolve_method(entry: MethodEntry, with_base: bool) -> Method:
    """Turns the entry of a table into a method.

    Args:
        entry: What the table says.
        with_base: Whether there is a base set.

    Raises:
        InputError: Its name, its preset or one of its settings is not known.
    """
    where = f"method '{entry.name}'"
    if entry.method in ESTIMATORS:
        presets = ESTIMATORS[entry.method].presets
        settings = resolve_settings(entry.preset or "default", presets)
        settings = _changed(settings, entry)
        if settings.detector != resolve_settings(entry.preset or "default", presets).detector:
            raise InputError(f"{where} changes the detector; all methods share it, see 'detector'")
        return Method(entry.name, None, settings.resolved(with_base))
    if entry.method not in RIVALS:
        known = ", ".join([*ESTIMATORS, *RIVALS])
        raise InputError(f"{where} is not known; use one of {known}")
    if entry.preset is not None:
        raise InputError(f"{where} has a preset; only {' and '.join(ESTIMATORS)} have presets")
    rival = _changed(RIVALS[entry.method], entry)
    return Method(entry.name, rival, None)


def _changed(before: Changed, entry: MethodEntry) -> Changed:
    try:
        return changed(before, entry.settings)
    except InputError as error:
        raise InputError(f"method '{entry.name}': {error}") from error
