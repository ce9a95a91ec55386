"""Measures the results of a plan that are missing."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import PRESETS
from anomalyncd.evaluation.map_evaluation import score_maps
from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.lock import only_writer
from anomalyncd.io.writing import remove_temporary
from anomalyncd.pipeline import Pipeline
from anomalyncd.runtime.measurement import forget_peak_memory, peak_memory_mb
from anomalyncd_bench.data_sets import Folders
from anomalyncd_bench.entries import NO_MAPS, file_name
from anomalyncd_bench.map_sources import built_in_maps
from anomalyncd_bench.methods import Method
from anomalyncd_bench.planning import Prepared
from anomalyncd_bench.results import Job, MapsJob, as_text, read_result, write_result
from anomalyncd_bench.token_sharing import (
    WholeImages,
    discover,
    new_encoder,
    read_regions,
    tokens_key,
)

Say: TypeAlias = Callable[[str], None]
Outcome: TypeAlias = NDArray[np.int64] | dict[str, Any]
"""Class of each image, (N,), or the figures of a measure."""


def run_table(ready: Prepared, folders: Folders, say: Say) -> None:
    """Measures what is missing; each result is on the disk before the next one begins.

    Args:
        ready: The table.
        folders: Where the plan, the results and the maps are written.
        say: Called with a line about each step.
    """
    ready.plan.write(folders.out)
    missing = [job for job in ready.plan.results if read_result(folders.out, job) is None]
    say(f"{len(ready.plan.results)} results, {len(missing)} of them to be measured")
    progress = _Progress(len(missing), say)
    with (
        only_writer(folders.out),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
    ):
        remove_temporary(folders.out)
        for name in ready.sets:
            one = _OneSet(ready, name, folders, Path(scratch) / file_name(name), progress)
            one.run([job for job in missing if job.set == name])


class _Progress:
    """Prints what was measured and how much time is left."""

    def __init__(self, total: int, say: Say) -> None:
        self.say, self._total, self._done = say, total, 0
        self._start = time.perf_counter()

    def add(self, what: str) -> None:
        self._done += 1
        spent = time.perf_counter() - self._start
        left = spent / self._done * (self._total - self._done)
        rest = f"; about {_duration(left)} left" if self._done < self._total else ""
        self.say(f"[{self._done}/{self._total}] {what}{rest}")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class _OneSet:
    """Measures the results of one set; the tokens that were read last serve the next method."""

    def __init__(
        self, ready: Prepared, name: str, folders: Folders, scratch: Path, progress: _Progress
    ) -> None:
        self._ready, self._name, self._set = ready, name, ready.sets[name]
        self._folders, self._scratch, self._progress = folders, scratch, progress
        self._images = WholeImages(ready.vit, self._set.inputs, scratch)
        self._shared: tuple[Any, Pipeline] | None = None

    def run(self, missing: Sequence[Job]) -> None:
        for job in missing:
            if job.source == NO_MAPS:
                self._measure(job, self._set.inputs, 0)
        maps_jobs = [job for job in self._ready.plan.maps if job.set == self._name]
        for source in self._ready.table.sources:
            jobs = [job for job in missing if job.source == source.name]
            by_seed = {job.seed: job for job in maps_jobs if job.source == source.name}
            for map_seed in list(by_seed) or [0]:
                # The maps of seed 0 serve all seeds, unless each seed has its own.
                served = [job for job in jobs if len(by_seed) < 2 or job.seed == map_seed]
                self._run_source(source.name, served, by_seed.get(map_seed), map_seed)

    def _run_source(
        self, source: str, jobs: Sequence[Job], maps: MapsJob | None, map_seed: int
    ) -> None:
        inputs = self._ready.inputs[self._name, source]
        if maps is not None:
            scored = read_result(self._folders.out, maps) is not None
            if scored and not jobs:
                return
            inputs = self._with_maps(inputs, maps, scored)
        for job in self._sharing_tokens(jobs):
            self._measure(job, inputs, map_seed)

    def _sharing_tokens(self, jobs: Sequence[Job]) -> list[Job]:
        """Baselines first, then the other methods, those together that share tokens."""
        order: dict[str, int] = {"": 0}

        def place(job: Job) -> int:
            config = self._ready.methods[job.method].config
            return order.setdefault("" if config is None else tokens_key(config), len(order))

        return sorted(jobs, key=place)

    def _with_maps(self, inputs: Inputs, job: MapsJob, scored: bool) -> Inputs:
        """Makes maps that are not given, and writes the scores of the maps."""
        costs: dict[str, float] = {}
        if not scored:
            # Otherwise an interruption could leave new maps beside the scores of other maps.
            (self._folders.out / job.path).unlink(missing_ok=True)
        if inputs.maps is None:
            self._progress.say(f"{self._name}, {job.source}: maps of seed {job.seed}")
            folder = f"{file_name(self._name)}_{file_name(job.source)}"
            folder += f"_{job.seed}" if job.seed else ""
            encoder = new_encoder(self._ready.vit, PRESETS["default"].encoder)
            detector = self._ready.detectors[job.source]
            with _costs(costs):
                place = self._folders.maps / folder
                inputs = built_in_maps(inputs, encoder, detector, job.seed, place)
        if not scored:
            assert inputs.maps is not None
            scores = asdict(score_maps(inputs.maps, self._set.truth()))
            write_result(self._folders.out, job, {**scores, **costs})
        return inputs

    def _measure(self, job: Job, inputs: Inputs, map_seed: int) -> None:
        method = self._ready.methods[job.method]
        costs: dict[str, float] = {}
        reading: dict[str, float] = {}
        with _costs(reading):
            call = self._call(method, job, inputs, map_seed)
        with _costs(costs):
            outcome = call()
        result, line = (outcome, "done") if isinstance(outcome, dict) else self._scores(outcome)
        costs["seconds_reading"] = reading["seconds"]
        write_result(self._folders.out, job, {**result, **costs})
        where = "" if job.source == NO_MAPS else f", {job.source}"
        seconds = _duration(costs["seconds"])
        self._progress.add(f"{job.set}{where}, {job.method}, seed {job.seed}: {line} in {seconds}")

    def _scores(self, classes: NDArray[np.int64]) -> tuple[dict[str, Any], str]:
        """The result of a method that finds classes, and its scores in one line."""
        scored = self._set.scored
        scores = cluster_scores(self._set.labels[scored], classes[scored])
        result = {
            **asdict(scores),
            "n_classes_found": len(np.unique(classes)),
            "classes": as_text(classes[scored]),
            "true_classes": as_text(np.unique(self._set.labels[scored], return_inverse=True)[1]),
        }
        return result, f"NMI {scores.nmi:.3f}, ARI {scores.ari:.3f}, F1 {scores.f1:.3f}"

    def _call(
        self, method: Method, job: Job, inputs: Inputs, map_seed: int
    ) -> Callable[[], Outcome]:
        """Reads what the method needs, and returns the rest, whose time is measured."""
        n_classes = self._set.n_classes
        if method.baseline is not None:
            baseline = method.baseline
            of_baseline = self._images.inputs_of(method, inputs, n_classes)
            return lambda: baseline.fit_predict(replace(of_baseline, seed=job.seed))
        config, study = method.config, method.study
        assert config is not None
        shared_by = (job.source, map_seed, tokens_key(config))
        if self._shared is None or self._shared[0] != shared_by:
            self._shared = None  # The tokens of the last method are released first.
            self._progress.say(f"{job.set}, {job.source}: reading regions for {job.method}")
            work = self._scratch / "regions"
            pipeline = read_regions(self._ready.vit, inputs, config, map_seed, work)
            self._shared = (shared_by, pipeline)
        shared = self._shared[1]
        if study is not None:
            return lambda: study.run(shared, self._set, job.seed)
        return lambda: discover(shared, config, n_classes, job.seed)


@contextmanager
def _costs(into: dict[str, float]) -> Iterator[None]:
    """Measures seconds, and the peak memory of the process, see `forget_peak_memory`."""
    forget_peak_memory()
    start = time.perf_counter()
    yield
    into["seconds"] = round(time.perf_counter() - start, 2)
    into["peak_memory_mb"] = round(peak_memory_mb())
