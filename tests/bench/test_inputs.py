"""Data sets, map sources and plans of a few tiny images, without a run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd_bench.data_sets import BenchSet, Folders, open_set
from anomalyncd_bench.entries import SetEntry, SourceEntry, TableEntry
from anomalyncd_bench.map_sources import open_source
from anomalyncd_bench.planning import prepare_table
from anomalyncd_bench.results import Job
from support.quick import damage, picture

NAMES = [f"{kind}/{index}" for kind in ("combined", "good", "line") for index in range(2)]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Six images with masks and maps, and two normal images."""
    for seed, name in enumerate(NAMES):
        kind = name.split("/")[0].replace("combined", "line")
        _save(tmp_path / "plates" / "test" / f"{name}.png", picture(kind, seed))
        if kind != "good":
            mask = tmp_path / "plates" / "ground_truth" / f"{name}_mask.png"
            _save(mask, damage(kind, seed))
        path = tmp_path / "given" / "plates" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((24, 32), seed, np.float32))
    for seed in (50, 51):
        _save(tmp_path / "plates" / "train" / "good" / f"{seed}.png", picture("good", seed))
    return Folders(tmp_path, tmp_path / "out", tmp_path / "maps")


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _open(
    folders: Folders,
    folder: str = "plates",
    combined: str = "unscored",
    series: dict[str, str] | None = None,
) -> BenchSet:
    entry = {"folder": folder, "combined": combined, "series": series}
    entry |= {"name": "plates", "group": "plates"}
    chosen = SetEntry.model_validate(entry | {"category": None})
    return open_set(chosen, folders, base=None, with_normals=True)


def test_names_tell_which_part_an_image_shows(folders: Folders) -> None:
    assert _open(folders).parts is None
    # The images that count are good/0, good/1, line/0 and line/1.
    order = r"/(\d+)"
    rising = {"photograph": order, "order": order}
    assert _open(folders, series=rising).parts.tolist() == [0, 0, 1, 1]
    with pytest.raises(InputError, match="finds no number in 'good/0'"):
        _ = _open(folders, series=rising | {"photograph": r"exp(\d+)"}).parts


def test_combined_images_take_part_and_do_not_count(folders: Folders) -> None:
    unscored = _open(folders)
    assert unscored.inputs.images.names == tuple(NAMES)
    assert unscored.scored.tolist() == [False] * 2 + [True] * 4
    assert unscored.n_classes == 2
    scored = _open(folders, combined="scored")
    assert (scored.scored.all(), scored.n_classes) == (True, 3)
    dropped = _open(folders, combined="dropped")
    assert dropped.inputs.images.names == tuple(NAMES[2:])
    truth = dropped.truth()
    assert truth.states is not None
    assert truth.states.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(truth.mask(2), damage("line", 4))


def test_given_maps_follow_the_images_that_take_part(folders: Folders) -> None:
    source = SourceEntry(name="mine", kind="given", maps="given/{set}")
    inputs = open_source(_open(folders, combined="dropped"), source, folders.data)
    assert inputs.maps is not None
    assert [float(scores[0, 0]) for scores in inputs.maps] == [2, 3, 4, 5]


def test_normal_images_are_for_sources_that_use_them(folders: Folders) -> None:
    bench_set = _open(folders)
    assert bench_set.inputs.normals is not None
    for kind, with_normals in (("zero_shot", False), ("normals", True), ("masks", False)):
        inputs = open_source(bench_set, SourceEntry(name=kind, kind=kind), folders.data)
        assert (inputs.normals is not None) == with_normals
        assert (inputs.masks is not None) == (kind == "masks")


def test_manifests_name_labels_and_masks_but_no_maps(folders: Folders) -> None:
    lines = ["image,label,mask,anomaly_map,split"]
    for name in NAMES[2:]:
        mask = "" if "good" in name else f"plates/ground_truth/{name}_mask.png"
        label = "ok" if "good" in name else "scratch"
        given = f"given/plates/{name}.npy"
        lines.append(f"plates/test/{name}.png,{label},{mask},{given},test")
    lines += [f"plates/train/good/{seed}.png,,,," + "train" for seed in (50, 51)]
    text = "\n".join(lines).replace(",,,,train", ",ok,,given/plates/good/0.npy,train")
    (folders.data / "images.csv").write_text(text, encoding="utf-8")
    bench_set = _open(folders, "images.csv")
    assert bench_set.labels.tolist() == ["ok", "ok", "scratch", "scratch"]
    assert bench_set.masks is not None
    np.testing.assert_array_equal(bench_set.masks[2], damage("line", 4))
    assert bench_set.inputs.maps is None
    assert bench_set.inputs.normals is not None
    assert len(bench_set.inputs.normals) == 2


TABLE = {
    "name": "table",
    "sets": {"plates": "plates"},
    "sources": ["zero_shot"],
    "methods": ["kmeans", "uniformaly"],
    "seeds": 2,
    "backbone": "tiny",
}


def _jobs(folders: Folders, tiny: Path, **changes: object) -> dict[tuple[str, int], Job]:
    table = TableEntry.model_validate(TABLE | changes)
    plan = prepare_table(table, folders, tiny, "cpu").plan
    return {(job.method, job.seed): job for job in plan.results}


@pytest.mark.parametrize(
    ("changes", "repeated"),
    [
        ({}, set()),
        ({"name": "another"}, set()),
        ({"maps_per_seed": True}, {("uniformaly", 1)}),
        ({"detector": {"smoothing": 1.5}}, {("uniformaly", 0), ("uniformaly", 1)}),
        (
            {"sets": {"plates": {"folder": "plates", "combined": "scored"}}},
            {("kmeans", 0), ("kmeans", 1), ("uniformaly", 0), ("uniformaly", 1)},
        ),
    ],
)
def test_results_are_repeated_if_what_they_depend_on_has_changed(
    changes: dict, repeated: set, folders: Folders, tiny: Path
) -> None:
    before, after = _jobs(folders, tiny), _jobs(folders, tiny, **changes)
    assert {name for name, job in after.items() if job.digest != before[name].digest} == repeated
