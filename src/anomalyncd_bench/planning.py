"""From the file of a table to all that it wants, checked before any long work."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.backbone.weights import digest, load_backbone
from anomalyncd.config import PRESETS, DetectorConfig
from anomalyncd.config.overrides import with_overrides
from anomalyncd.inputs.base_set import BaseSet, as_base_set
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.runtime.device import check_seed, resolve_device
from anomalyncd_bench.data_sets import BenchSet, open_set
from anomalyncd_bench.map_sources import (
    described,
    made_from,
    open_source,
)
from anomalyncd_bench.methods import (
    VIEWS,
    Method,
    resolve_method,
)
from anomalyncd_bench.published import check_published
from anomalyncd_bench.results import (
    Cell,
    MapsJob,
    Plan,
    digest_of,
)
from anomalyncd_bench.table_file import (
    NO_MAPS,
    MethodEntry,
    SourceEntry,
    TableEntry,
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table that is ready to run."""

    plan: Plan
    vit: VisionTransformer
    """On its device, float32."""
    detector: DetectorConfig
    sets: Mapping[str, BenchSet]
    sources: Mapping[str, SourceEntry]
    methods: Mapping[str, Method]
    inputs: Mapping[tuple[str, str], Inputs]
    """Of each set and source, without maps that are yet to be made."""


def prepare_table(
    table: TableEntry, data: Path, work: Path, weights: Path | None = None, device: str = "auto"
) -> Prepared:
    """Opens and checks all that a table names.

    Args:
        table: What the file says.
        data: Where its relative folders begin.
        work: Where manifests of layouts are written.
        weights: File of the backbone's weights.
        device: As for `AnomalyNCD`.

    Raises:
        InputError: Something cannot be used.
    """
    for seed in table.seeds:
        check_seed(seed)
    detector = with_overrides(PRESETS["default"].detector, table.detector)
    methods = {one.name: resolve_method(one, table.base is not None) for one in table.methods}
    for entry in table.sets:
        check_published(entry)
    chosen = resolve_device(device)
    base = as_base_set(data / Path(table.base).expanduser()) if table.base else None
    with_normals = any(source.with_normals for source in table.sources)
    sets = {one.name: open_set(one, data, work, base, with_normals) for one in table.sets}
    inputs = {
        (name, source.name): open_source(bench_set, source, data)
        for name, bench_set in sets.items()
        for source in table.sources
    }
    vit = load_backbone(table.backbone, weights).to(chosen)
    sources = {one.name: one for one in table.sources}
    plan = _plan(table, sets, sources, methods, inputs, vit, detector, base)
    return Prepared(plan, vit, detector, sets, sources, methods, inputs)


def _plan(
    table: TableEntry,
    sets: Mapping[str, BenchSet],
    sources: Mapping[str, SourceEntry],
    methods: Mapping[str, Method],
    inputs: Mapping[tuple[str, str], Inputs],
    vit: VisionTransformer,
    detector: DetectorConfig,
    base: BaseSet | None,
) -> Plan:
    backbone = [table.backbone, digest(vit.state_dict())]
    known = [described(base.images), base.labels.tolist()] if base else None
    cells: list[Cell] = []
    maps: list[MapsJob] = []
    for name, one in sets.items():
        described_set = [described(one.inputs.images), one.labels.tolist(), one.scored.tolist()]
        contents = {
            source: made_from(inputs[name, source], sources[source], detector) for source in sources
        }
        for source in sources.values():
            for seed in table.seeds if table.maps_per_seed else (0,):
                if source.kind != "masks":
                    made = digest_of(described_set, contents[source.name], backbone, seed)
                    maps.append(MapsJob(name, source.name, seed, made))
        for method, source_name, seed in _wanted(table, methods):
            map_seed = None if source_name == NO_MAPS else seed if table.maps_per_seed else 0
            views = asdict(VIEWS) if "views" in methods[method].needs else None
            normals = one.inputs.normals if "normals" in methods[method].needs else None
            made = digest_of(
                [described_set, backbone, known, methods[method].described(), seed, views],
                [contents.get(source_name), map_seed, normals and described(normals)],
            )
            cells.append(Cell(name, source_name, method, seed, made))
    return Plan(
        table.name,
        [_set_entry(one) for one in sets.values()],
        [
            {"name": s.name, "kind": s.kind, "with_normals": s.with_normals}
            for s in sources.values()
        ],
        [_method_entry(one, methods[one.name], sources) for one in table.methods],
        table.seeds,
        table.backbone,
        cells,
        maps,
    )


def _wanted(table: TableEntry, methods: Mapping[str, Method]) -> Iterator[tuple[str, str, int]]:
    for name, method in methods.items():
        for source in method.sources(table.sources):
            for seed in table.seeds:
                yield name, source, seed


def _set_entry(one: BenchSet) -> dict[str, Any]:
    entry, normals = one.entry, one.inputs.normals
    return {
        "name": entry.name,
        "group": entry.group,
        "category": entry.category,
        "published": entry.published,
        "combined": entry.combined,
        "n_images": len(one.labels),
        "n_scored": int(one.scored.sum()),
        "n_normals": len(normals) if normals else 0,
        "n_classes": one.n_classes,
    }


def _method_entry(
    entry: MethodEntry, method: Method, sources: Mapping[str, SourceEntry]
) -> dict[str, Any]:
    shown = [source.name for source in sources.values() if method.belongs_to(source)]
    return asdict(entry) | {"ours": method.ours, "sources": shown, "maps": "maps" in method.needs}
