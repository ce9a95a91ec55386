"""A benchmark of a few tiny images: it goes on after an interruption and repeats nothing."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalyncd.io.json_files import read_json
from anomalyncd_bench import running, token_sharing
from anomalyncd_bench.baselines.reading import read_images
from anomalyncd_bench.cli import app
from anomalyncd_bench.results import Job, from_text, write_result
from support import quick
from support.quick import damage, picture

TABLE = """
sets: {plates: plates}
sources: [zero_shot, masks]
seeds: 1
backbone: tiny
methods:
  - kmeans
  - {method: uniformaly}
  - {method: anomalyncd, config: {training.epochs: 1}}
"""
RESULTS = ["no_maps/kmeans", "zero_shot/uniformaly", "zero_shot/anomalyncd"]
RESULTS += ["masks/uniformaly", "masks/anomalyncd"]


@pytest.fixture
def table(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table file beside a set of twelve images and three of the class `combined`."""
    # It names where relative folders begin.
    monkeypatch.delenv("ANOMALYNCD_DATA", raising=False)
    shallow = partial(read_images, patch_blocks=(0, 1))  # The tiny backbone has but four blocks.
    monkeypatch.setattr(token_sharing, "read_images", shallow)
    for group, kind in enumerate(("good", "line", "spot", "combined")):
        for index in range(4 if kind != "combined" else 3):
            seed = 10 * group + index
            shown = "line" if kind == "combined" else kind
            _save(tmp_path / "plates" / "test" / kind / f"{index:03}.png", picture(shown, seed))
            if kind != "good":
                mask = tmp_path / "plates" / "ground_truth" / kind / f"{index:03}_mask.png"
                _save(mask, damage(shown, seed))
    for seed in range(50, 54):
        _save(tmp_path / "plates" / "train" / "good" / f"{seed}.png", picture("good", seed))
    path = tmp_path / "table.yaml"
    path.write_text(TABLE, encoding="utf-8")
    return path


call = partial(quick.call, app=app)
succeed = partial(quick.succeed, app=app)


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _arguments(table: Path, weights: Path) -> tuple[object, ...]:
    return (table, "--out", table.parent / "out", "--weights", weights)


def _times(table: Path) -> dict[str, int]:
    """When each result was written, by source and method."""
    results = table.parent / "out" / "results" / "plates"
    return {
        f"{path.parent.name}/{path.stem.rsplit('_', 1)[0]}": path.stat().st_mtime_ns
        for path in results.rglob("*.json")
    }


def _result(table: Path, name: str) -> dict:
    return read_json(table.parent / "out" / "results" / "plates" / f"{name}_0.json", "result")


def test_goes_on_after_an_interruption_and_repeats_nothing(
    table: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path, job: object, content: dict) -> None:
        if isinstance(job, Job) and job.method == "uniformaly":
            raise KeyboardInterrupt
        write_result(folder, job, content)

    with monkeypatch.context() as patch:
        patch.setattr(running, "write_result", interrupted)
        result = call(*_arguments(table, tiny))
    assert result.exit_code == 130
    assert list(_times(table)) == ["no_maps/kmeans"]
    assert "4 of 5 results are not measured yet" in (table.parent / "out/tables.md").read_text()
    before = _times(table)
    printed = succeed(*_arguments(table, tiny))
    assert "5 results, 4 of them to be measured" in printed
    assert set(_times(table)) == set(RESULTS)
    assert _times(table)["no_maps/kmeans"] == before["no_maps/kmeans"]
    before = _times(table)
    assert "5 results, 0 of them" in succeed(*_arguments(table, tiny))
    assert _times(table) == before
    one = _result(table, "zero_shot/anomalyncd")
    assert len(from_text(one["classes"])) == 12  # without `combined`
    assert from_text(one["true_classes"]).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert one["digest"]
    assert {"seconds", "peak_memory_mb", "versions", "machine", "date"} <= set(one)


def test_a_change_repeats_what_depends_on_it(table: Path, tiny: Path) -> None:
    succeed(*_arguments(table, tiny))
    before = _times(table)

    def repeated(old: str, new: str) -> set[str]:
        table.write_text(table.read_text().replace(old, new), encoding="utf-8")
        succeed(*_arguments(table, tiny))
        after, known = _times(table), dict(before)
        before.update(after)
        return {name for name, time in after.items() if known.get(name) != time}

    assert repeated("training.epochs: 1", "training.epochs: 2") == {
        "zero_shot/anomalyncd",
        "masks/anomalyncd",
    }
    assert repeated("seeds: 1", "seeds: 1\ndetector: {smoothing: 1.5}") == {
        "zero_shot/anomalyncd",
        "zero_shot/uniformaly",
    }
    assert repeated("plates: plates", "plates: {folder: plates, combined: dropped}") == set(RESULTS)
    shutil.rmtree(table.parent / "out" / "results" / "plates" / "masks")
    assert repeated("seeds", "seeds") == {"masks/anomalyncd", "masks/uniformaly"}


def test_normals_given_maps_and_maps_of_each_seed(table: Path, tiny: Path) -> None:
    sources = "sources: [normals, {name: mine, maps: 'given/{set}'}]\nmaps_per_seed: true"
    text = TABLE.replace("sources: [zero_shot, masks]", sources).replace("seeds: 1", "seeds: 2")
    table.write_text(text.replace("kmeans", "ac_normals"), encoding="utf-8")
    maps = table.parent / "given" / "plates"
    for path in (table.parent / "plates" / "test").rglob("*.png"):
        target = maps / path.parent.name / f"{path.stem}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, np.random.default_rng(0).random((24, 32), np.float32))
    printed = succeed(*_arguments(table, tiny))
    # Each result is measured once, with the maps of its own seed.
    assert printed.count("NMI") == len(_times(table)) * 2
    out = table.parent / "out"
    scored = sorted(path.stem for path in (out / "maps").iterdir())
    assert scored == [f"plates_{name}_{seed}" for name in ("mine", "normals") for seed in (0, 1)]
    of_seeds = [read_json(out / "maps" / f"plates_normals_{seed}.json", "maps") for seed in (0, 1)]
    assert of_seeds[0]["digest"] != of_seeds[1]["digest"]
    assert 0 <= of_seeds[0]["aupro"] <= 1
    shown = (out / "tables.md").read_text(encoding="utf-8")
    with_normals, without = shown.split("## plates, maps 'mine'")
    assert "| ac_normals |" in with_normals
    assert "| ac_normals |" not in without.split("## Ours")[0]


def test_each_source_has_its_detector_and_no_method_is_needed(table: Path, tiny: Path) -> None:
    sources = "[zero_shot, {name: coarse, kind: zero_shot, detector: {resolution: 64}}]"
    text = TABLE.split("methods:")[0].replace("[zero_shot, masks]", sources)
    table.write_text(text, encoding="utf-8")
    assert "0 results, 0 of them to be measured" in succeed(*_arguments(table, tiny))
    out = table.parent / "out"
    names = ("zero_shot", "coarse")
    scores = [read_json(out / "maps" / f"plates_{name}_0.json", "maps") for name in names]
    assert scores[0]["digest"] != scores[1]["digest"]
    assert scores[0]["pixel_auroc"] != scores[1]["pixel_auroc"]
    page = (out / "tables.md").read_text(encoding="utf-8")
    assert "| plates | coarse | 0 |" in page


def test_studies_are_run_beside_methods(table: Path, tiny: Path) -> None:
    text = TABLE.split("methods:")[0].replace("[zero_shot, masks]", "[masks]")
    text += "methods: [kmeans, supervised, class_number]"
    table.write_text(text, encoding="utf-8")
    succeed(*_arguments(table, tiny))
    assert set(_times(table)) == {"no_maps/kmeans", "masks/supervised", "masks/class_number"}
    assert _result(table, "masks/class_number")["true"] == 4  # with `combined`
    page = (table.parent / "out" / "tables.md").read_text(encoding="utf-8")
    assert "| supervised |" in page
    assert "## The number of classes" in page
    assert "minus the best baseline" not in page


def test_a_page_of_several_benchmarks(table: Path, tiny: Path) -> None:
    table.write_text(TABLE.split("  - {method: uniformaly")[0], encoding="utf-8")
    folders = [table.parent / name for name in ("first", "second")]
    for folder in folders:
        succeed(table, "--out", folder, "--weights", tiny)
    page = table.parent / "results.md"
    succeed("--results-page", page, *folders)
    assert page.read_text(encoding="utf-8").count("| kmeans |") == 2 * 2
    refused = call(*folders)
    assert refused.exit_code == 2
    assert "give one, or --results-page" in refused.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("plates: plates", "plates: plats", "plats' does not exist"),
        ("plates: plates", "plates: plates/test/good", "cannot be scored"),
        ("- kmeans", "- kmeens", "method 'kmeens' is not known"),
        ("training.epochs", "training.epoch", "did you mean training.epochs"),
        ("backbone: tiny", "backbone: huge", "backbone 'huge' is not known"),
        ("masks]", "{name: mine, maps: nowhere}]", "nowhere' does not exist"),
        ("seeds: 1", "seeds: [-1]", "seed -1 cannot be used"),
        ("plates: plates", "plates: {folder: plates, published: all}", "use one of MVTec AD"),
        ("seeds: 1", "seeds: 1\ndetector: {layer: 1}", "did you mean layers"),
    ],
)
def test_faults_are_reported_before_anything_is_made(
    old: str, new: str, message: str, table: Path, tiny: Path
) -> None:
    table.write_text(TABLE.replace(old, new), encoding="utf-8")
    result = call(*_arguments(table, tiny))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (table.parent / "out" / "plan.json").exists()


def test_masks_and_normals_that_are_missing_are_named(table: Path, tiny: Path) -> None:
    shutil.rmtree(table.parent / "plates" / "ground_truth")
    assert "set 'plates' has no masks" in call(*_arguments(table, tiny)).stderr
    shutil.rmtree(table.parent / "plates" / "train")
    table.write_text(TABLE.replace("masks]", "normals]"), encoding="utf-8")
    assert "set 'plates' has no normal images" in call(*_arguments(table, tiny)).stderr
