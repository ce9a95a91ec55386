"""What a table file may say, and what is said of one that says something else."""

from pathlib import Path

import pytest

from anomalyncd.errors import InputError
from anomalyncd_bench.methods import resolve_method
from anomalyncd_bench.table_file import MethodEntry, read_table_file

WHOLE = """
name: two sets
sets:
  MVTec AD: {folder: mvtec, categories: [bottle, pill], combined: dropped, published: MVTec AD}
  plates: plates
sources: [zero_shot, {name: patchcore, maps: "maps/{set}", normal_maps: normals}]
seeds: [0, 5]
maps_per_seed: true
methods:
  - kmeans
  - {name: trained, method: anomalyncd, preset: paper, config: {training.epochs: 3}}
"""


def _read(folder: Path, text: str):
    path = folder / "table.yaml"
    path.write_text(text, encoding="utf-8")
    return read_table_file(path)


def test_everything_that_is_written_is_read(tmp_path: Path) -> None:
    table = _read(tmp_path, WHOLE)
    assert [(one.name, one.group) for one in table.sets] == [
        ("bottle", "MVTec AD"),
        ("pill", "MVTec AD"),
        ("plates", "plates"),
    ]
    assert [one.combined for one in table.sets] == ["dropped", "dropped", "unscored"]
    assert [(one.name, one.with_normals) for one in table.sources] == [
        ("zero_shot", False),
        ("patchcore", True),
    ]
    assert (table.seeds, table.maps_per_seed) == ((0, 5), True)
    assert table.methods[1] == MethodEntry("trained", "anomalyncd", "paper", {"training.epochs": 3})


def test_defaults(tmp_path: Path) -> None:
    table = _read(tmp_path, "sets: {plates: plates}\nmethods: [kmeans]")
    assert (table.name, table.seeds, table.maps_per_seed) == ("table", (0, 1, 2), False)
    assert [one.kind for one in table.sources] == ["zero_shot"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (WHOLE, "a: [", "is no YAML"),
        (WHOLE, "- a", "holds no 'name: value' lines"),
        ("seeds:", "sedes:", "unknown entry 'sedes'; use seeds"),
        ("sets:", "stes:", "lacks 'sets'"),
        ("combined: dropped", "combined: gone", "use one of unscored, dropped, scored"),
        ("categories: [bottle, pill]", "layout: mvtek", "has layout='mvtek'; use one of"),
        ("folder: mvtec,", "", "lacks 'folder'"),
        ("zero_shot", "zero-shot", "source 'zero-shot'; use one of zero_shot, normals, masks"),
        ("name: patchcore", "name: masks", "means something else"),
        ("[0, 5]", "none", "has seeds='none'"),
        ("[bottle, pill]", "[bottle, Bottle]", "two sets called 'Bottle'"),
        ("name: trained", "name: kmeans", "two methods called 'kmeans'"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    before: str, after: str, said: str, tmp_path: Path
) -> None:
    assert before in WHOLE
    with pytest.raises(InputError, match=r"table\.yaml") as caught:
        _read(tmp_path, WHOLE.replace(before, after))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (MethodEntry("kmean", "kmean"), "is not known; use one of anomalyncd, proto, kmeans"),
        (MethodEntry("kmeans", "kmeans", "paper"), "only anomalyncd and proto have presets"),
        (MethodEntry("proto", "proto", "papers"), "'papers' is not known"),
        (
            MethodEntry("proto", "proto", None, {"detector.layers": [3]}),
            "changes the detector; all methods share it",
        ),
        (MethodEntry("simgcd", "simgcd", None, {"epoch": 3}), "did you mean epochs"),
    ],
)
def test_methods_that_cannot_be_used(entry: MethodEntry, said: str) -> None:
    with pytest.raises(InputError, match=f"method '{entry.name}'|preset") as caught:
        resolve_method(entry, with_base=False)
    assert said in str(caught.value)
