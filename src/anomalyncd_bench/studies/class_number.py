"""The estimated number of classes beside the true one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from anomalyncd.pipeline import Pipeline
from anomalyncd_bench.data_sets import BenchSet


@dataclass(frozen=True)
class EstimatedClassNumber:
    """Estimates the number of classes from the regions; seeds vary the resamples."""

    title: ClassVar[str] = "The number of classes"
    note: ClassVar[str] = (
        "In brackets the interval of the estimate, then the choice of each criterion alone. All "
        "images take part; the class `combined` counts among the true classes."
    )

    def run(self, pipeline: Pipeline, bench_set: BenchSet, seed: int) -> dict[str, Any]:
        """The estimate, its interval, and the votes of the criteria."""
        counted = pipeline.reuse(pipeline.context.config, seed, None).class_number
        assert counted is not None
        values = asdict(counted)
        shown = {name: values[name] for name in ("estimate", "low", "high", "votes")}
        return {"true": len(np.unique(bench_set.labels)), **shown}

    def row(self, result: Mapping[str, Any]) -> dict[str, str]:
        """The figures of one result."""
        votes = ", ".join(f"{name} {vote}" for name, vote in result["votes"].items())
        return {
            "true": str(result["true"]),
            "estimate": f"{result['estimate']} ({result['low']} to {result['high']})",
            "criteria": votes,
        }
