"""A stage of a pipeline: it runs once, is timed, and runs after all stages above it."""

from collections.abc import Callable, Sized
from typing import Any, Generic, Protocol, Self, TypeVar, overload

from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.mean_store import MeanStore
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.device_memory import refuse_full_memory
from anomalyncd.runtime.wording import counted

Result = TypeVar("Result")


class Staged(Protocol):
    """What has stages."""

    context: RunContext
    """Times the stages."""

    @property
    def results(self) -> dict[str, Any]:
        """Results of the stages that have run, by name."""

    def run_before(self, stage: str) -> None:
        """Runs all stages above one of them that have not run yet."""


_COUNTED: tuple[tuple[type[Sized], str], ...] = (
    (AnomalyMaps, "image"),
    (Masks, "image"),
    (Regions, "region"),
    (TokenStore, "region"),
    (MeanStore, "region"),
)


def amount(result: object) -> list[str]:
    """What a stage has worked on, "45 images", if its result tells."""
    return [counted(len(result), noun) for kind, noun in _COUNTED if isinstance(result, kind)]


class Stage(Generic[Result]):
    """A method of a pipeline that runs once, timed, after all stages that stand above it."""

    def __init__(self, compute: Callable[[Any], Result]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, pipeline: None, owner: type) -> Self: ...
    @overload
    def __get__(self, pipeline: Staged, owner: type) -> Result: ...
    def __get__(self, pipeline: Staged | None, owner: type) -> Self | Result:
        if pipeline is None:
            return self
        pipeline.run_before(self._name)
        with refuse_full_memory(self._name), pipeline.context.stages(self._name) as done:
            result = self._compute(pipeline)
            done += amount(result)
        pipeline.results[self._name] = result
        return result
