"""From the file of a table to a plan of all results, checked before any long work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import PRESETS, DetectorConfig
from anomalyncd.config.overrides import with_overrides
from anomalyncd.inputs.base_set import BaseSet, as_base_set
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.key import key
from anomalyncd.runtime.device import check_seed, resolve_device
from anomalyncd_bench.data_sets import BenchSet, Folders, open_set
from anomalyncd_bench.entries import NO_MAPS, MethodEntry, SourceEntry, TableEntry
from anomalyncd_bench.map_sources import images_key, made_from, open_source
from anomalyncd_bench.methods import Method, resolve_method
from anomalyncd_bench.results import Job, MapsJob, Plan, as_text


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table with everything that it names, opened and checked."""

    table: TableEntry
    vit: VisionTransformer
    """On its device, float32."""
    base: BaseSet | None
    detectors: Mapping[str, DetectorConfig]
    """Config of the built-in detector of each map source."""
    methods: Mapping[str, Method]
    sets: Mapping[str, BenchSet]
    inputs: Mapping[tuple[str, str], Inputs]
    """Of each set and source; maps that have to be made are missing."""

    @cached_property
    def plan(self) -> Plan:
        """All results that the table asks for."""
        table = self.table
        return Plan(
            table.name,
            [_set_record(bench_set) for bench_set in self.sets.values()],
            [
                {"name": one.name, "kind": one.kind, "with_normals": one.with_normals}
                for one in table.sources
            ],
            [self._method_record(entry) for entry in table.methods],
            table.seeds,
            table.backbone,
            [job for name in self.sets for job in self._jobs(name)],
            [job for name in self.sets for job in self._maps_jobs(name)],
        )

    def _maps_jobs(self, name: str) -> Iterator[MapsJob]:
        for source in self.table.sources:
            if source.kind != "masks":
                for seed in self.table.seeds if self.table.maps_per_seed else [0]:
                    made = key(self._set_key(name), self._maps_keys[name, source.name], seed)
                    yield MapsJob(name, source.name, seed, made)

    def _jobs(self, name: str) -> Iterator[Job]:
        base = self.base and (images_key(self.base.images), self.base.labels)
        normals = self.sets[name].inputs.normals
        for method in self.methods.values():
            needed = images_key(normals) if normals and "normals" in method.needs else None
            for source in method.sources(self.table.sources):
                for seed in self.table.seeds:
                    map_seed = seed if self.table.maps_per_seed else 0
                    maps = (self._maps_keys[name, source], map_seed) if source != NO_MAPS else None
                    made = key(self._set_key(name), maps, base, method.made_from, needed, seed)
                    yield Job(name, source, method.name, seed, made)

    @cached_property
    def _maps_keys(self) -> Mapping[tuple[str, str], Any]:
        """What the maps of each set and source are made from."""
        sources = {source.name: source for source in self.table.sources}
        return {
            (name, source): made_from(inputs, sources[source], self.detectors[source])
            for (name, source), inputs in self.inputs.items()
        }

    @cached_property
    def _vit_key(self) -> str:
        return key(self.table.backbone, self.vit)

    def _set_key(self, name: str) -> str:
        one = self.sets[name]
        return key(images_key(one.inputs.images), one.labels, one.scored, self._vit_key)

    def _method_record(self, entry: MethodEntry) -> dict[str, Any]:
        method = self.methods[entry.name]
        shown = [source.name for source in self.table.sources if method.is_shown_at(source)]
        record = entry.model_dump(include={"name", "method", "preset", "config"})
        return record | {"role": method.role, "sources": shown}


def _set_record(one: BenchSet) -> dict[str, Any]:
    normals = one.inputs.normals
    record = one.entry.model_dump(include={"name", "group", "category", "published", "combined"})
    return record | {
        "parts": None if one.parts is None else as_text(one.parts),
        "n_images": len(one.labels),
        "n_scored": int(one.scored.sum()),
        "n_normals": len(normals) if normals else 0,
        "n_classes": one.n_classes,
    }


def prepare_table(
    table: TableEntry, folders: Folders, weights: Path | None = None, device: str = "auto"
) -> Prepared:
    """Opens and checks everything that a table names.

    Args:
        table: Content of its file.
        folders: Where the data are, and where results will be written.
        weights: File of the weights of the backbone.
        device: As for `AnomalyNCD`.

    Raises:
        InputError: Something cannot be used.
    """
    for seed in table.seeds:
        check_seed(seed)
    detectors = {source.name: _detector(table, source) for source in table.sources}
    methods = {one.name: resolve_method(one) for one in table.methods}
    chosen = resolve_device(device)
    base = as_base_set(folders.data / Path(table.base).expanduser()) if table.base else None
    with_normals = any(source.with_normals for source in table.sources)
    sets = {one.name: open_set(one, folders, base, with_normals) for one in table.sets}
    inputs = {
        (name, source.name): open_source(bench_set, source, folders.data)
        for name, bench_set in sets.items()
        for source in table.sources
    }
    vit = load_backbone(table.backbone, weights).to(chosen)
    return Prepared(table, vit, base, detectors, methods, sets, inputs)


def _detector(table: TableEntry, source: SourceEntry) -> DetectorConfig:
    return with_overrides(PRESETS["default"].detector, table.detector | source.detector)
