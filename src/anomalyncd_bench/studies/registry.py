"""All studies by name; they run on the regions of a set, as the default preset finds them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyncd.pipeline import Pipeline
from anomalyncd_bench.data_sets import BenchSet
from anomalyncd_bench.studies.class_number import EstimatedClassNumber
from anomalyncd_bench.studies.oracle import Oracle, Supervised
from anomalyncd_bench.studies.unseen import Unseen


class Reference(Protocol):
    """A method that knows the true classes in part; it is scored as all methods are."""

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> NDArray[np.int64]:
        """Finds the class of each image, (N,), with a pipeline that has read all tokens."""
        ...


class Measure(Protocol):
    """A measurement of something other than the classes of images; it has its own table."""

    title: ClassVar[str]
    note: ClassVar[str]

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> dict[str, Any]:
        """Returns figures that JSON can store."""
        ...

    def row(self, result: Mapping[str, Any]) -> dict[str, str]:
        """Returns the figures of one result for the table, by the heads of their columns."""
        ...


REFERENCES: Mapping[str, Reference] = {"oracle": Oracle(), "supervised": Supervised()}
MEASURES: Mapping[str, Measure] = {"class_number": EstimatedClassNumber(), "unseen": Unseen()}
