"""What a table calls its methods, turned into what can be run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from anomalyncd.config import (
    PRESETS,
    Config,
    resolve_config,
)
from anomalyncd.config.overrides import Changed, with_overrides
from anomalyncd.errors import InputError
from anomalyncd.estimator import ESTIMATORS
from anomalyncd_bench.baselines.inputs import Baseline
from anomalyncd_bench.baselines.registry import BASELINES
from anomalyncd_bench.table_file import (
    NO_MAPS,
    MethodEntry,
    SourceEntry,
)

VIEWS = PRESETS["default"].crops
"""Views of whole images that trained rivals see."""
_STAGES = ("mebin", "regions", "foreground", "encoder", "crops", "training", "aggregation")
"""Stages of one of our estimators that run in a benchmark; maps are made for all methods."""


@dataclass(frozen=True, eq=False)
class Method:
    """A rival, or one of our estimators."""

    name: str
    baseline: Baseline | None
    config: Config | None
    """As they hold with or without a base set; None of a rival."""

    @property
    def ours(self) -> bool:
        """Whether it is one of our estimators."""
        return self.baseline is None

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `BaselineInputs` that it cannot do without."""
        return frozenset({"maps"}) if self.baseline is None else self.baseline.needs

    def sources(self, sources: Sequence[SourceEntry]) -> tuple[str, ...]:
        """Names of the sources of a table that have results of their own, or `NO_MAPS`."""
        shown = tuple(one.name for one in sources if self.belongs_to(one))
        return shown if "maps" in self.needs or not shown else (NO_MAPS,)

    def belongs_to(self, source: SourceEntry) -> bool:
        """Whether it stands in the table of a source: with normal images only beside its likes."""
        return source.with_normals or "normals" not in self.needs

    def described(self) -> Any:
        """All that its result depends on besides its inputs, as plain values."""
        if self.config is None:
            return repr(self.baseline)
        stages = asdict(self.config)
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
        config = resolve_config(entry.preset or "default", presets)
        config = _changed(config, entry)
        if config.detector != resolve_config(entry.preset or "default", presets).detector:
            raise InputError(f"{where} changes the detector; all methods share it, see 'detector'")
        return Method(entry.name, None, config.resolved(with_base))
    if entry.method not in BASELINES:
        known = ", ".join([*ESTIMATORS, *BASELINES])
        raise InputError(f"{where} is not known; use one of {known}")
    if entry.preset is not None:
        raise InputError(f"{where} has a preset; only {' and '.join(ESTIMATORS)} have presets")
    baseline = _changed(BASELINES[entry.method], entry)
    return Method(entry.name, baseline, None)


def _changed(before: Changed, entry: MethodEntry) -> Changed:
    try:
        return with_overrides(before, entry.config)
    except InputError as error:
        raise InputError(f"method '{entry.name}': {error}") from error
