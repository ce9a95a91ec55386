"""Runs what a plan wants and is not there yet."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import PRESETS
from anomalyncd.evaluation.map_evaluation import score_maps
from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.runtime.measurement import forget_peak_memory, peak_memory_mb
from anomalyncd_bench.map_sources import built_in_maps, existing_maps
from anomalyncd_bench.methods import Method
from anomalyncd_bench.planning import Prepared
from anomalyncd_bench.results import (
    Cell,
    MapsJob,
    as_text,
    read_result,
    write_result,
)
from anomalyncd_bench.table_file import NO_MAPS, file_name
from anomalyncd_bench.token_sharing import (
    RegionTokens,
    WholeImages,
    new_encoder,
    tokens_key,
)

Say = Callable[[str], None]


def run_table(ready: Prepared, folder: Path, maps_folder: Path, say: Say) -> None:
    """Measures what is missing; each result is on the disk before the next begins.

    Args:
        ready: The table.
        folder: Where the plan and the results are written.
        maps_folder: Where built-in maps are kept, a folder for each set and source.
        say: Is told what is being done and how long it takes.
    """
    ready.plan.write(folder)
    missing = [cell for cell in ready.plan.cells if read_result(folder, cell) is None]
    say(f"{len(ready.plan.cells)} results, {len(missing)} of them to be measured")
    progress = _Progress(len(missing), say)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for name in ready.sets:
            one = _OneSet(
                ready, name, folder, maps_folder, Path(scratch) / file_name(name), progress
            )
            one.run([cell for cell in missing if cell.set == name])


class _Progress:
    """Says what was done and how long the rest will take."""

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
    """All that is measured on one set; what was read last is kept for the next method."""

    def __init__(
        self,
        ready: Prepared,
        name: str,
        folder: Path,
        maps_folder: Path,
        scratch: Path,
        progress: _Progress,
    ) -> None:
        self._ready, self._name, self._set = ready, name, ready.sets[name]
        self._folder, self._maps_folder, self._scratch = folder, maps_folder, scratch
        self._progress = progress
        self._images = WholeImages(ready.vit, self._set.inputs, scratch)
        self._tokens: tuple[Any, RegionTokens] | None = None

    def run(self, missing: Sequence[Cell]) -> None:
        for cell in missing:
            if cell.source == NO_MAPS:
                self._measure(cell, self._set.inputs, 0)
        jobs = [job for job in self._ready.plan.maps if job.set == self._name]
        for source in self._ready.sources:
            own = [cell for cell in missing if cell.source == source]
            of_maps = {job.seed: job for job in jobs if job.source == source}
            for map_seed in list(of_maps) or [0]:
                # One set of maps serves all seeds, unless each has its own.
                mine = [cell for cell in own if len(of_maps) < 2 or cell.seed == map_seed]
                self._run_source(source, mine, of_maps.get(map_seed), map_seed)

    def _run_source(
        self, source: str, cells: Sequence[Cell], job: MapsJob | None, map_seed: int
    ) -> None:
        inputs = self._ready.inputs[self._name, source]
        if job is not None:
            known = read_result(self._folder, job)
            if known is not None and not cells:
                return
            inputs = self._with_maps(inputs, job, known)
        for cell in _sharing_tokens(cells, self._ready.methods):
            self._measure(cell, inputs, map_seed)

    def _with_maps(self, inputs: Inputs, job: MapsJob, known: Mapping[str, Any] | None) -> Inputs:
        """Makes maps that are not given, scores them, and writes that down."""
        costs: dict[str, float] = {}
        if known is None:
            # Or else an interruption could leave maps beside the record of others.
            (self._folder / job.path).unlink(missing_ok=True)
        if inputs.maps is None:
            self._progress.say(f"{self._name}, {job.source}: maps of seed {job.seed}")
            stem = f"{file_name(self._name)}_{file_name(job.source)}"
            place = self._maps_folder / (f"{stem}_{job.seed}" if job.seed else stem)
            encoder = new_encoder(self._ready.vit, PRESETS["default"].encoder)
            with _costs(costs):
                # Maps that were scored completely are not looked at again.
                ready = None if known is None else existing_maps(inputs, place)
                inputs = ready or built_in_maps(
                    inputs, encoder, self._ready.detector, job.seed, place
                )
        if known is None:
            assert inputs.maps is not None
            scores = asdict(score_maps(inputs.maps, self._set.truth()))
            write_result(self._folder, job, {**scores, **costs})
        return inputs

    def _measure(self, cell: Cell, inputs: Inputs, map_seed: int) -> None:
        method = self._ready.methods[cell.method]
        costs: dict[str, float] = {}
        reading: dict[str, float] = {}
        with _costs(reading):
            call = self._call(method, cell, inputs, map_seed)
        with _costs(costs):
            classes = call()
        scored = self._set.scored
        scores = cluster_scores(self._set.labels[scored], classes[scored])
        true = np.unique(self._set.labels[scored], return_inverse=True)[1]
        result = {
            **asdict(scores),
            **costs,
            "seconds_reading": reading["seconds"],
            "n_classes_found": len(np.unique(classes)),
            "classes": as_text(classes[scored]),
            "true_classes": as_text(true),
        }
        write_result(self._folder, cell, result)
        where = "" if cell.source == NO_MAPS else f", {cell.source}"
        self._progress.add(
            f"{cell.set}{where}, {cell.method}, seed {cell.seed}: NMI {scores.nmi:.3f}, "
            f"ARI {scores.ari:.3f}, F1 {scores.f1:.3f} in {_duration(costs['seconds'])}"
        )

    def _call(
        self, method: Method, cell: Cell, inputs: Inputs, map_seed: int
    ) -> Callable[[], NDArray[np.int64]]:
        """Reads what the method needs, and returns what is left to be done and measured."""
        n_classes = self._set.n_classes
        if method.baseline is not None:
            baseline, given = method.baseline, self._images.inputs_of(method, inputs, n_classes)
            return lambda: baseline.fit_predict(replace(given, seed=cell.seed))
        config = method.config
        assert config is not None
        key = (cell.source, map_seed, tokens_key(config))
        if self._tokens is None or self._tokens[0] != key:
            self._tokens = None  # Those of the last method are let go first.
            self._progress.say(f"{cell.set}, {cell.source}: reading regions for {cell.method}")
            work = self._scratch / "regions"
            tokens = RegionTokens(self._ready.vit, inputs, config, map_seed, work)
            self._tokens = (key, tokens)
        shared = self._tokens[1]
        return lambda: shared.discover(config, n_classes, cell.seed)


def _sharing_tokens(cells: Sequence[Cell], methods: Mapping[str, Method]) -> list[Cell]:
    """Rivals first, then ours, those together that share tokens."""
    keys: dict[str, int] = {}
    for cell in cells:
        config = methods[cell.method].config
        keys.setdefault("" if config is None else tokens_key(config), len(keys))

    def place(cell: Cell) -> tuple[bool, int]:
        config = methods[cell.method].config
        return config is not None, keys["" if config is None else tokens_key(config)]

    return sorted(cells, key=place)


@contextmanager
def _costs(into: dict[str, float]) -> Iterator[None]:
    """Seconds, and the most memory that was held meanwhile, see `forget_peak_memory`."""
    forget_peak_memory()
    start = time.perf_counter()
    yield
    into["seconds"] = round(time.perf_counter() - start, 2)
    into["peak_memory_mb"] = round(peak_memory_mb())
