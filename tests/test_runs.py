"""Runs on disk: whole, resumed, refused, scored."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from anomalyncd import (
    AnomalyNCD,
    InputError,
    pipeline,
)
from anomalyncd.config import Config
from anomalyncd.detection import maps as anomaly_maps
from anomalyncd.evaluation.evaluate import evaluate_classes, evaluate_run
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.lock import LOCK
from anomalyncd.io.tensor_files import save_checked
from anomalyncd.results.operating_point import OperatingPoint, write_point
from anomalyncd.results.run_folder import read_table
from anomalyncd.workflows import discover_run
from support.quick import QUICK, UNTRAINED, picture


@pytest.fixture
def estimator(tiny: Path) -> AnomalyNCD:
    return AnomalyNCD(3, backbone="tiny", weights=tiny)


def _contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def test_run_folder_holds_everything(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    discover_run(estimator, images_folder, run)
    assert _contents(run) == [
        "attention.npy",
        "classes.csv",
        "counts.npy",
        "features.npy",
        "images.csv",
        "maps",
        "masks",
        "model",
        "normal_scores.npy",
        "probabilities.npy",
        "regions.csv",
        "run.json",
        "run.log",
    ]
    pd.testing.assert_frame_equal(
        read_table(run), estimator.predictions_.images, check_dtype=False, rtol=1e-5
    )
    assert np.array_equal(np.load(run / "features.npy"), estimator.predictions_.features)
    mask = np.asarray(Image.open(run / "masks" / "spot" / "002.png")) > 0
    assert np.array_equal(mask, estimator.predictions_.masks[10])
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["n_images"] == 12
    assert record["estimator"] == "AnomalyNCD"
    assert record["parameters"]["random_state"] == 0
    assert record["score_range"]["low"] == estimator.model_.score_range.low
    assert record["score_range"]["calibration"] is None
    assert record["config"]["training"]["epochs"] == 2
    assert set(record["versions"]) == {"anomalyncd", "torch", "numpy", "python"}
    assert set(record["stages"]["discovery"]) == {"seconds", "peak_memory_mb"}
    loaded = AnomalyNCD.load(run / "model")
    assert np.array_equal(loaded.predict(images_folder), estimator.labels_)


def test_finished_run_is_refused_or_replaced(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    discover_run(estimator, images_folder, run)
    (run / "foreground").mkdir()  # as a run writes it that looks for the product
    with pytest.raises(InputError, match="`overwrite`"):
        discover_run(estimator, images_folder, run)
    few = ImageSet.from_folder(images_folder).select(range(0, 12, 2))
    discover_run(estimator, few, run, overwrite=True)
    assert len(read_table(run)) == 6
    assert len(list((run / "masks").rglob("*.png"))) == 6
    assert len(list((run / "maps").rglob("*.npy"))) == 6
    assert not (run / "foreground").exists()


def test_failed_overwrite_leaves_the_old_run(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    discover_run(estimator, images_folder, run)
    before = (run / "run.json").read_bytes()
    estimator.save = lambda folder: 1 / 0  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        discover_run(estimator, images_folder, run, overwrite=True)
    assert (run / "run.json").read_bytes() == before
    assert not [name for name in _contents(run) if name.startswith(".")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_peoples_folders_are_refused(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, overwrite: bool
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(InputError, match=r"holds 'chapter\.tex'"):
        discover_run(estimator, images_folder, tmp_path / "thesis", overwrite=overwrite)
    with pytest.raises(InputError, match="is a file"):
        discover_run(estimator, images_folder, tmp_path / "thesis" / "chapter.tex")
    with pytest.raises(InputError, match="lies within the images"):
        discover_run(estimator, images_folder, images_folder / "runs")
    (tmp_path / "detector" / "masks").mkdir(parents=True)
    with pytest.raises(InputError, match="holds 'masks'"):
        discover_run(estimator, images_folder, tmp_path / "detector")


def test_a_failure_elsewhere_is_not_taken_for_one_of_the_log(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: object, **further: object) -> None:
        raise ConnectionResetError(104, "the share has gone", "/elsewhere")

    monkeypatch.setattr(estimator, "fit", gone)
    with pytest.raises(ConnectionResetError, match="the share has gone"):
        discover_run(estimator, images_folder, tmp_path / "run")


def test_interrupted_run_goes_on(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plain, made = tmp_path / "run", anomaly_maps.map_of, []

    def interrupted(*arguments: object) -> np.ndarray:
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(arguments[2])  # The index of the image.
        return plain(*arguments)

    monkeypatch.setattr(anomaly_maps, "map_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        discover_run(estimator, images_folder, run)
    assert _contents(run) == ["maps", "run.log"]
    assert "stopped: KeyboardInterrupt" in (run / "run.log").read_text(encoding="utf-8")
    assert len(list((run / "maps").rglob("*.npy"))) == 5
    first = list(made)
    made[:] = []
    monkeypatch.setattr(
        anomaly_maps, "map_of", lambda *given: (made.append(given[2]), plain(*given))[1]
    )
    discover_run(estimator, images_folder, run)
    assert len(made) == 7
    assert not set(made) & set(first)
    resumed = estimator.predictions_.probabilities
    assert np.array_equal(resumed, estimator.fit(images_folder).predictions_.probabilities)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("config", [QUICK, UNTRAINED], ids=["trained", "untrained"])
def test_run_that_failed_in_training_goes_on_after_its_tokens(
    estimator: AnomalyNCD,
    images_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: Config,
    mapped: bool,
) -> None:
    views = replace(config.crops, memory_limit_gb=0 if mapped else 4)
    estimator.set_params(preset=replace(config, crops=views))
    run, train, fill = tmp_path / "run", pipeline.discover_classes, pipeline.fill_store

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "discover_classes", fail)
    with pytest.raises(MemoryError):
        discover_run(estimator, images_folder, run)
    assert (run / "tokens.bin").is_file() == (mapped and config is QUICK)
    kept = set(load_file(run / "checkpoint" / "tokens.safetensors"))
    means = {"means", "attention"}
    tokens = {"shares", "frozen", "shape" if mapped else "tokens"}
    assert kept == (tokens if config is QUICK else means)
    monkeypatch.setattr(pipeline, "discover_classes", train)
    monkeypatch.setattr(pipeline, "fill_store", fail)
    discover_run(estimator, images_folder, run)
    resumed, attended = estimator.predictions_.probabilities, estimator.attention_
    assert not {"checkpoint", "tokens.bin"} & set(_contents(run))
    monkeypatch.setattr(pipeline, "fill_store", fill)
    assert np.array_equal(resumed, estimator.fit(images_folder).predictions_.probabilities)
    assert attended is not None
    assert np.array_equal(attended, estimator.attention_)


def test_mapped_tokens_of_another_run_are_not_taken_for_its_own(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    mapped = replace(QUICK, crops=replace(QUICK.crops, memory_limit_gb=0))
    estimator.set_params(preset=mapped).fit(images_folder, folder=tmp_path)
    assert (tmp_path / "tokens.bin").is_file()
    expected = estimator.set_params(preset=QUICK).fit(images_folder, folder=tmp_path)
    expected = expected.predictions_.probabilities
    assert not (tmp_path / "tokens.bin").exists()
    again = estimator.fit(images_folder, folder=tmp_path).predictions_.probabilities
    assert np.array_equal(again, expected)


@pytest.mark.parametrize("file", ["regions.npz", "tokens.safetensors", "made_from.json"])
def test_damaged_checkpoint_is_made_again(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, file: str
) -> None:
    expected = estimator.fit(images_folder, folder=tmp_path).predictions_.probabilities
    (tmp_path / "checkpoint" / file).write_bytes(b"PK\x03\x04 cut off")
    again = estimator.fit(images_folder, folder=tmp_path).predictions_.probabilities
    assert np.array_equal(again, expected)


def test_checkpoint_that_holds_tokens_where_means_suffice_is_made_again(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, forwards: list[int]
) -> None:
    """As an earlier version has written it."""
    estimator.set_params(preset=UNTRAINED)
    expected = estimator.fit(images_folder, folder=tmp_path).predictions_.probabilities
    path, count = tmp_path / "checkpoint" / "tokens.safetensors", len(forwards)
    kept = load_file(path)
    save_checked(kept | {"tokens": torch.zeros(len(kept["means"]), 1, 17, 16)}, path)
    again = estimator.fit(images_folder, folder=tmp_path).predictions_.probabilities
    assert np.array_equal(again, expected)
    assert len(forwards) > count
    assert load_file(path).keys() == kept.keys()


def test_new_run_keeps_no_operating_point(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    discover_run(estimator, images_folder, run)
    write_point(OperatingPoint(0.5, 0.0, None), run)
    discover_run(estimator, images_folder, run, overwrite=True)
    assert not (run / "operating.json").exists()


def test_tables_name_parts_from_anywhere(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images_folder.parent)
    discover_run(estimator, Path(images_folder.name), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert all(Path(path).is_file() for path in read_table("run")["path"])


def test_tokens_of_something_else_are_read_again(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    estimator.fit(images_folder, folder=tmp_path)
    assert (tmp_path / "checkpoint" / "made_from.json").is_file()
    pictures = shutil.copytree(images_folder, tmp_path / "copied")
    Image.fromarray(picture("good", 99)).save(pictures / "spot" / "002.png")
    changed = estimator.fit(pictures, folder=tmp_path).predictions_.probabilities
    assert np.array_equal(changed, estimator.fit(pictures).predictions_.probabilities)


@pytest.mark.parametrize("change", ["seed", "config", "picture"])
def test_maps_of_something_else_are_made_again(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path, change: str
) -> None:
    pictures = [picture(kind, i) for i, kind in enumerate(["good", "spot", "line"] * 2)]
    few = replace(QUICK.detector, n_references=3)
    estimator.set_params(preset=replace(QUICK, detector=few)).fit(pictures, folder=tmp_path)
    if change == "seed":
        estimator.set_params(random_state=1)
    if change == "config":
        estimator.set_params(preset=replace(QUICK, detector=replace(few, smoothing=3.0)))
    if change == "picture":
        pictures[4] = picture("good", 99)
    fresh = estimator.fit(pictures).predictions_.regions
    kept = estimator.fit(pictures, folder=tmp_path).predictions_.regions
    pd.testing.assert_frame_equal(fresh, kept)


def test_foreign_maps_are_never_taken_or_deleted(
    estimator: AnomalyNCD, images_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "mine.npy", np.zeros((4, 4)))
    with pytest.raises(InputError, match=r"mine\.npy' was not made by this command"):
        estimator.fit(images_folder, folder=tmp_path)
    assert (tmp_path / "maps" / "mine.npy").is_file()


def test_evaluation_of_a_run(estimator: AnomalyNCD, images_folder: Path, tmp_path: Path) -> None:
    discover_run(estimator, images_folder, tmp_path / "run")
    evaluation = evaluate_run(tmp_path / "run", ignore=("line",)).to_dict()
    assert evaluation["images"]["n"] == 8
    assert set(evaluation["images"]) == {"nmi", "ari", "f1", "n"}
    assert evaluation["left_out"] == {"line": 4}
    assert sum(sum(row.values()) for row in evaluation["confusion"].values()) == 8
    assert json.loads(json.dumps(evaluation)) == evaluation
    with pytest.raises(InputError, match=r"holds no images\.csv"):
        evaluate_run(tmp_path)


def test_perfect_classes_score_one_and_combined_parts_do_not_count() -> None:
    labels = ["a", "a", "b", "b", "combined", ""]
    evaluation = evaluate_classes(labels, [5, 5, 2, 2, 0, 0])
    assert evaluation.to_dict() == {
        "images": {"nmi": 1.0, "ari": 1.0, "f1": 1.0, "n": 4},
        "left_out": {"no label": 1, "combined": 1},
        "confusion": {"a": {"5": 2, "2": 0}, "b": {"5": 0, "2": 2}},
    }
    with pytest.raises(InputError, match="fewer than two classes"):
        evaluate_classes(labels[2:], [2, 2, 0, 0])


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    table = (
        "name,path,class,class_name,normal,score,n_regions,height,width,lot\n"
        "001,001.png,0,normal,True,0.1,0,8,8,0042\nNA,NA.png,1,class 1,False,0.9,1,8,8,NULL\n"
    )
    (tmp_path / "images.csv").write_text(table, encoding="utf-8")
    assert list(read_table(tmp_path)["name"]) == ["001", "NA"]
    assert list(read_table(tmp_path)["lot"]) == ["0042", "NULL"]
    (tmp_path / "images.csv").write_text("name\n1\n", encoding="utf-8")
    with pytest.raises(InputError, match="lacks the column 'class'"):
        read_table(tmp_path)
    (tmp_path / "images.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        read_table(tmp_path)
