"""The folder of a benchmark: a plan, and one file for each result."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd_bench.entries import NO_MAPS, file_name

PLAN = "plan.json"
FORMAT = 2
_PACKAGES = ("anomalyncd", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Job:
    """One method on one set with one map source and one seed."""

    set: str
    source: str
    """`NO_MAPS` if the method uses no maps."""
    method: str
    seed: int
    digest: str
    """Key of everything that the result depends on."""

    @property
    def path(self) -> Path:
        """The file of the result, below the folder of the benchmark."""
        folders = Path("results", file_name(self.set), file_name(self.source))
        return folders / f"{file_name(self.method)}_{self.seed}.json"


@dataclass(frozen=True)
class MapsJob:
    """The maps of one set from one source."""

    set: str
    source: str
    seed: int
    digest: str
    """Key of everything that the maps depend on."""

    @property
    def path(self) -> Path:
        """The file of their scores, below the folder of the benchmark."""
        return Path("maps", f"{file_name(self.set)}_{file_name(self.source)}_{self.seed}.json")


@dataclass(frozen=True, eq=False)
class Plan:
    """All results that a table asks for, in the order in which they are shown."""

    name: str
    sets: Sequence[Mapping[str, Any]]
    """For each: name, group, category, published, combined, parts (see `BenchSet.parts`), and the
    numbers of images, of images that are scored, of normal images and of classes."""
    sources: Sequence[Mapping[str, Any]]
    """For each: name, kind, with_normals."""
    methods: Sequence[Mapping[str, Any]]
    """For each: name, method, preset, config, role (see `Method.role`), and the sources in whose
    tables it is shown."""
    seeds: Sequence[int]
    backbone: str
    results: Sequence[Job]
    maps: Sequence[MapsJob]

    def write(self, folder: Path) -> None:
        """Writes the plan into the folder of the benchmark."""
        write_json(folder / PLAN, {"format": FORMAT} | asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """Reads what `write` wrote.

        Raises:
            InputError: There is no plan, or it is damaged.
        """
        content = read_json(folder / PLAN, "benchmark")
        try:
            if content.pop("format") != FORMAT:
                raise InputError(f"benchmark '{folder}' is of another version; run it again")
            results = [Job(**job) for job in content.pop("results")]
            maps = [MapsJob(**job) for job in content.pop("maps")]
            return cls(results=results, maps=maps, **content)
        except (TypeError, KeyError) as error:
            raise InputError(f"benchmark '{folder}' is damaged ({error}); run it again") from error


def read_result(folder: Path, job: Job | MapsJob) -> dict[str, Any] | None:
    """Reads a result; None if it is missing, damaged, or was measured with another config."""
    try:
        content = read_json(folder / job.path, "benchmark")
    except InputError:
        return None
    return content if content.get("digest") == job.digest else None


def write_result(folder: Path, job: Job | MapsJob, content: Mapping[str, Any]) -> None:
    """Writes a result, either completely or not at all, with the machine, versions and date."""
    write_json(folder / job.path, asdict(job) | dict(content) | _circumstances())


def as_text(classes: NDArray[Any]) -> str:
    """Classes on one line, since JSON would give each a line of its own."""
    return " ".join(str(int(one)) for one in classes)


def from_text(text: str) -> NDArray[np.int64]:
    """Classes that `as_text` wrote."""
    return np.array(text.split(), np.int64)


def _circumstances() -> dict[str, Any]:
    versions = {name: version(name) for name in _PACKAGES}
    return {
        "versions": versions | {"python": platform.python_version()},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "n_processors": os.cpu_count() or 1,
            "n_threads": torch.get_num_threads(),
        },
        "date": date.today().isoformat(),
    }


def score_text(score: float | None) -> str:
    """Three digits without the leading zero, as in the papers."""
    if score is None:
        return "-"
    return f"{score:.3f}".replace("0.", ".", 1) if abs(score) < 1 else f"{score:.3f}"


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a score over seeds."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{score_text(self.mean)} ± {score_text(self.std)}"


class Results:
    """The results of a plan that have been measured.

    Args:
        folder: Of the benchmark.

    Raises:
        InputError: There is no plan in it.
    """

    def __init__(self, folder: Path) -> None:
        self.plan = Plan.read(folder)
        contents = [read_result(folder, job) for job in self.plan.results]
        self.measured = [content for content in contents if content is not None]
        self.n_missing = len(contents) - len(self.measured)
        maps = [read_result(folder, job) for job in self.plan.maps]
        self.maps = [content for content in maps if content is not None]

    @cached_property
    def _by_method(self) -> Mapping[tuple[str, str, str], Sequence[Mapping[str, Any]]]:
        """Results over seeds by set, source and method; those without maps at each source."""
        found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        shown = {str(method["name"]): method["sources"] for method in self.plan.methods}
        for result in self.measured:
            source, method = result["source"], result["method"]
            for name in shown[method] if source == NO_MAPS else [source]:
                found.setdefault((result["set"], name, method), []).append(result)
        return found

    def of(self, set_name: str, source: str, method: str) -> Sequence[Mapping[str, Any]]:
        """Results over seeds; empty if there are none."""
        return self._by_method.get((set_name, source, method), [])

    def spread(self, sets: Sequence[str], source: str, method: str, score: str) -> Spread | None:
        """Spread of the mean over sets, over the seeds that all of them have; None without any."""
        by_seed = [{one["seed"]: one[score] for one in self.of(s, source, method)} for s in sets]
        seeds = set(by_seed[0]).intersection(*by_seed[1:])
        if not seeds:
            return None
        means = [np.mean([scores[seed] for scores in by_seed]) for seed in sorted(seeds)]
        return Spread(float(np.mean(means)), float(np.std(means)))

    def methods(self, *roles: str) -> list[str]:
        """Names of the methods with one of these roles, in order."""
        return [str(method["name"]) for method in self.plan.methods if method["role"] in roles]
