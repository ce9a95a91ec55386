"""All studies by name; they run on the regions of a set, as the default preset finds them."""

from collections.abc import Mapping
from typing import Any, Protocol

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
        """Finds classes.

        Args:
            pipeline: Has read the tokens of all regions.
            bench_set: The images with their true classes.
            seed: Seed of everything random.

        Returns:
            Class of each image, (N,).
        """
        ...


class Measure(Protocol):
    """Something else than the classes of images that is measured, with a table of its own."""

    @property
    def title(self) -> str:
        """Title of the table."""
        ...

    @property
    def note(self) -> str:
        """Note below the table."""
        ...

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> dict[str, Any]:
        """Measures figures that JSON can store; see `Reference.run` for the arguments."""
        ...

    def row(self, result: Mapping[str, Any]) -> dict[str, str]:
        """Figures that are shown of one result, by the heads of their columns."""
        ...


REFERENCES: Mapping[str, Reference] = {"oracle": Oracle(), "supervised": Supervised()}
MEASURES: Mapping[str, Measure] = {"class_number": EstimatedClassNumber(), "unseen": Unseen()}
