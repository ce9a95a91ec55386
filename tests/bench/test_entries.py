"""The file of a table: what may be written, and how faults are reported."""

from pathlib import Path

import pytest

from anomalyncd.config import PRESETS
from anomalyncd.config.overrides import with_overrides
from anomalyncd.errors import InputError
from anomalyncd.io.key import key
from anomalyncd_bench.entries import MethodEntry, TableEntry, file_name, read_table_file
from anomalyncd_bench.methods import resolve_method

TABLES = sorted((Path(__file__).parents[2] / "benchmarks" / "tables").glob("*.yaml"))
WHOLE = """
name: two sets
sets:
  MVTec AD: {folder: mvtec, categories: [bottle, pill], combined: dropped, published: MVTec AD}
  plates: plates
sources:
  - zero_shot
  - {name: patchcore, maps: "maps/{set}", normal_maps: normals}
  - {name: block 5, kind: zero_shot, detector: {layers: [5]}}
seeds: [0, 5]
maps_per_seed: true
methods:
  - kmeans
  - {method: proto, preset: paper}
  - {name: trained, method: anomalyncd, config: {training.epochs: 3}}
"""


def _read(folder: Path, text: str) -> TableEntry:
    path = folder / "table.yaml"
    path.write_text(text, encoding="utf-8")
    return read_table_file(path)


def test_all_entries_are_read(tmp_path: Path) -> None:
    table = _read(tmp_path, WHOLE)
    assert table.name == "two sets"
    assert [(one.name, one.group, one.category, one.folder) for one in table.sets] == [
        ("bottle", "MVTec AD", "bottle", "mvtec"),
        ("pill", "MVTec AD", "pill", "mvtec"),
        ("plates", "plates", None, "plates"),
    ]
    assert [one.combined for one in table.sets] == ["dropped", "dropped", "unscored"]
    assert [one.published for one in table.sets] == ["MVTec AD", "MVTec AD", None]
    assert [(one.name, one.kind, one.with_normals) for one in table.sources] == [
        ("zero_shot", "zero_shot", False),
        ("patchcore", "given", True),
        ("block 5", "zero_shot", False),
    ]
    assert table.sources[2].detector == {"layers": [5]}
    assert (table.seeds, table.maps_per_seed) == ([0, 5], True)
    assert [(one.name, one.method, one.preset) for one in table.methods] == [
        ("kmeans", "kmeans", None),
        ("proto paper", "proto", "paper"),
        ("trained", "anomalyncd", None),
    ]
    assert table.methods[2].config == {"training.epochs": 3}


def test_defaults(tmp_path: Path) -> None:
    table = _read(tmp_path, "sets: {plates: plates}\nmethods: [kmeans]\nseeds: 2\nbase:")
    assert (table.name, table.seeds, table.maps_per_seed) == ("table", [0, 1], False)
    assert [one.kind for one in table.sources] == ["zero_shot"]
    assert (table.base, table.detector) == (None, {})


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (WHOLE, "a: [", "is no YAML"),
        (WHOLE, "- a", "holds no 'name: value' lines"),
        ("seeds:", "sedes:", "'sedes' is unknown; use seeds"),
        ("sets:", "stes:", "'sets' is missing; add it"),
        ("combined: dropped", "combined: gone", "use one of unscored, dropped, scored"),
        ("combined: dropped", "series: {photograph: '(', order: a(b)}", "a regular expression"),
        (
            "categories: [bottle, pill]",
            "layout: mvtek",
            "layout='mvtek' cannot be used; use one",
        ),
        ("published: MVTec AD", "published: all", "use one of MVTec AD, MTD, bottle, pill"),
        ("folder: mvtec,", "", "'sets.MVTec AD.folder' is missing; add it"),
        ("folder: mvtec,", "folder: mvtec, part: a,", "part' is unknown; use folder, layout, cat"),
        ("- zero_shot", "- zero-shot", "'zero-shot' cannot be used; use one of zero_shot, normals"),
        ("name: patchcore", "name: masks", "'masks' means something else; give another name"),
        ('maps: "maps/{set}", ', "", "sources.1; give either 'maps: FOLDER' or a built-in 'kind:'"),
        ("[0, 5]", "none", "seeds='none' cannot be used; give their number, or a list such as"),
        ("[0, 5]", "[0, 1.5]", "seeds.1=1.5 cannot be used"),
        ("maps_per_seed: true", "maps_per_seed: 1", "maps_per_seed=1 cannot be used"),
        ("[bottle, pill]", "[bottle, Bottle]", "two sets are called 'Bottle', or nearly so"),
        ("name: trained", "name: kmeans", "two methods are called 'kmeans', or nearly so"),
        ("name: trained", 'name: "--"', "'--' among the methods has no letter"),
    ],
)
def test_faults_are_reported_in_one_line(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    assert before in WHOLE
    with pytest.raises(InputError, match=r"table\.yaml") as caught:
        _read(tmp_path, WHOLE.replace(before, after))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"method": "kmean"}, "is not known; use one of anomalyncd, proto, kmeans"),
        ({"method": "kmeans", "preset": "paper"}, "only anomalyncd and proto have presets"),
        ({"method": "proto", "preset": "papers"}, "'papers' is not known"),
        ({"method": "proto", "config": {"detector.layers": [3]}}, "changes the detector; give"),
        ({"method": "simgcd", "config": {"epoch": 3}}, "did you mean epochs"),
        ({"method": "oracle", "config": {"normals": True}}, "did you mean normal"),
        ({"method": "unseen", "config": {"n_folds": "many"}}, "n_folds='many' cannot be used"),
    ],
)
def test_methods_that_cannot_be_used(entry: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"method '{entry['method']}|preset") as caught:
        resolve_method(MethodEntry.model_validate(entry))
    assert message in str(caught.value)


def test_config_is_that_of_the_preset_with_its_changes() -> None:
    entry = {"method": "anomalyncd", "preset": "paper", "config": {"training.epochs": 3}}
    method = resolve_method(MethodEntry.model_validate(entry))
    assert method.config is not None
    assert method.config.training.epochs == 3
    assert method.config.encoder.guidance == "hard"
    changed = resolve_method(MethodEntry(method="iic", config={"epochs": 7}))
    assert changed.baseline == type(changed.baseline)(epochs=7)  # type: ignore[call-arg]


def test_names_of_files() -> None:
    assert file_name("true masks (upper bound), ä") == "true_masks_upper_bound_ä"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_tables_of_this_repository_can_be_run(path: Path) -> None:
    table = read_table_file(path)
    methods = [resolve_method(one) for one in table.methods]
    assert len({key(method.made_from) for method in methods}) == len(methods)
    detector = PRESETS["default"].detector
    detectors = [with_overrides(detector, one.detector) for one in table.sources]
    made = {(one.kind, chosen) for one, chosen in zip(table.sources, detectors, strict=True)}
    assert len(made) == len(table.sources)
