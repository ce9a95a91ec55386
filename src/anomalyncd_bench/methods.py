"""The methods of a table: baselines, studies and our estimators, with their configs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from anomalyncd.config import PRESETS, Config, resolve_config
from anomalyncd.config.overrides import Changed, with_overrides
from anomalyncd.errors import InputError
from anomalyncd.estimator import ESTIMATORS
from anomalyncd_bench.baselines.inputs import Baseline
from anomalyncd_bench.baselines.registry import BASELINES
from anomalyncd_bench.entries import NO_MAPS, MethodEntry, SourceEntry
from anomalyncd_bench.studies.registry import MEASURES, REFERENCES, Measure, Reference

Role: TypeAlias = Literal["baseline", "ours", "reference", "measure"]
VIEWS = PRESETS["default"].crops
"""Views of whole images with which baselines are trained."""


@dataclass(frozen=True, eq=False)
class Method:
    """A baseline, one of our estimators, or a study."""

    name: str
    role: Role
    """A reference knows the true classes in part; a measure finds no classes."""
    baseline: Baseline | None = None
    config: Config | None = None
    """As it applies with or without a base set; None for a baseline."""
    study: Reference | Measure | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `BaselineInputs` without which it cannot run."""
        return frozenset({"maps"}) if self.baseline is None else self.baseline.needs

    @property
    def made_from(self) -> tuple[Any, ...]:
        """Everything that its result depends on besides its inputs."""
        return self.baseline, self.config, self.study, VIEWS if "views" in self.needs else None

    def sources(self, sources: Sequence[SourceEntry]) -> list[str]:
        """Names of the map sources with results of their own, or `NO_MAPS`."""
        shown = [source.name for source in sources if self.is_shown_at(source)]
        return shown if "maps" in self.needs or not shown else [NO_MAPS]

    def is_shown_at(self, source: SourceEntry) -> bool:
        """Whether it is in the table of a source; a method that knows normal images is only
        compared with others that do."""
        return source.with_normals or "normals" not in self.needs


def resolve_method(entry: MethodEntry) -> Method:
    """Turns an entry of a table into a method.

    Args:
        entry: The entry.

    Raises:
        InputError: Its name, its preset or a field of its config is not known.
    """
    where, name = f"method '{entry.name}'", entry.method
    if name in ESTIMATORS:
        preset = resolve_config(entry.preset or "default", ESTIMATORS[name].presets)
        config = _changed(preset, entry)
        if config.detector != preset.detector:
            raise InputError(f"{where} changes the detector; give 'detector' to a map source")
        return Method(entry.name, "ours", config=config.resolved())
    if name not in {*BASELINES, *REFERENCES, *MEASURES}:
        known = ", ".join([*ESTIMATORS, *BASELINES, *REFERENCES, *MEASURES])
        raise InputError(f"{where} is not known; use one of {known}")
    if entry.preset is not None:
        raise InputError(f"{where} has a preset; only {' and '.join(ESTIMATORS)} have presets")
    if name in BASELINES:
        return Method(entry.name, "baseline", baseline=_changed(BASELINES[name], entry))
    config = PRESETS["default"].resolved()
    role: Role = "reference" if name in REFERENCES else "measure"
    studies: dict[str, Reference | Measure] = {**REFERENCES, **MEASURES}
    study = _changed(studies[name], entry)
    return Method(entry.name, role, config=config, study=study)


def _changed(before: Changed, entry: MethodEntry) -> Changed:
    try:
        return with_overrides(before, entry.config)
    except InputError as error:
        raise InputError(f"method '{entry.name}': {error}") from error
