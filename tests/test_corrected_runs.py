"""Runs that a person corrects: what was said holds, and nothing is lost on the way."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from anomalyncd import AnomalyNCD, InputError, revision
from anomalyncd.cli.main import app
from anomalyncd.exchange.run_labels import export_labels, import_labels, labelled_run
from anomalyncd.report.contents import doubtful_images
from anomalyncd.results import replacement
from anomalyncd.results.model_file import read_model
from anomalyncd.results.run_folder import read_run
from anomalyncd.revision import correct_run
from anomalyncd.workflows import discover_run, predict_run, write_run

TABLES = ("images.csv", "regions.csv", "classes.csv")


@pytest.fixture
def run(tiny: Path, images_folder: Path, tmp_path: Path) -> Path:
    discover_run(AnomalyNCD(3, backbone="tiny", weights=tiny), images_folder, tmp_path / "run")
    return tmp_path / "run"


def _tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def test_nothing_said_leaves_the_tables_as_they_are(run: Path) -> None:
    before = _tables(run)
    changes = correct_run(run)
    assert (changes.n_said, changes.n_regions, changes.n_images) == (0, 0, 0)
    assert _tables(run) == before


def test_what_was_said_holds_in_all_tables_and_undoing_it_brings_the_discovery_back(
    run: Path, images_folder: Path
) -> None:
    before, book = _tables(run), read_run(run).labels
    book.edit(1, name="scratch")
    pit = book.new_class("pit", book.ids[[0, 5]])
    book.move_images(["spot/001"], 1)
    book.merge(1, [2])
    correct_run(run)
    corrected = read_run(run)
    assert corrected.class_names == {0: "normal", 1: "scratch", pit: "pit"}
    assert set(corrected.regions["class"]) <= {0, 1, pit}
    assert "p_2" not in corrected.regions
    assert list(corrected.regions["class_name"][[0, 5]]) == ["pit", "pit"]
    assert (corrected.regions["confidence"][[0, 5]] == 1).all()
    assert not corrected.regions["unseen"][[0, 5]].any()
    of_image = corrected.regions[corrected.regions["name"] == "spot/001"]
    assert set(of_image["class_name"]) == {"scratch"}
    assert corrected.images.set_index("name").loc["spot/001", "class_name"] == "scratch"
    assert json.loads((run / "run.json").read_text())["corrected"]["n_said"] >= 3
    while book.undo():
        pass
    correct_run(run)
    assert _tables(run) == before


def test_ignored_regions_do_not_count_and_kinds_that_are_fine_count_as_normal(run: Path) -> None:
    book, table = read_run(run).labels, read_run(run).regions
    n_regions = table.groupby("name")["name"].transform("size")
    assert (n_regions == 1).any(), "an image whose only region is ignored"
    alone = int(np.flatnonzero(n_regions == 1)[0])
    dust = book.new_class("dust", book.ids[[alone]])
    book.edit(dust, kind="not a defect")
    correct_run(run)
    corrected = read_run(run)
    image = corrected.images.set_index("name").loc[table["name"][alone]]
    assert (image["class_name"], bool(image["normal"])) == ("dust", True)
    book.edit(dust, kind="ignored")
    correct_run(run)
    image = read_run(run).images.set_index("name").loc[table["name"][alone]]
    assert (image["class_name"], bool(image["normal"])) == ("normal", True)


def test_predict_uses_the_names_and_classes_of_a_corrected_run(
    run: Path, images_folder: Path, tmp_path: Path
) -> None:
    book = read_run(run).labels
    book.edit(1, name="scratch")
    book.merge(1, [2])
    correct_run(run)
    predictions = predict_run(run, images_folder, tmp_path / "new")
    assert set(predictions.classes["class_name"]) == {"normal", "scratch", "unseen", "unsure"}
    assert {"p_0", "p_1"} <= set(predictions.images)
    assert "p_2" not in predictions.images
    loaded = AnomalyNCD.load(run / "model").classify(images_folder)
    assert list(loaded.images["class"]) == list(predictions.images["class"])


def test_a_kill_between_two_files_is_completed_by_the_next_reader(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_run(run).labels.merge(1, [2])
    moved: list[Path] = []
    move = replacement.move

    def killed_after_two(source: Path, target: Path) -> None:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(target)
        move(source, target)

    monkeypatch.setattr(replacement, "move", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        correct_run(run)
    monkeypatch.undo()
    corrected = read_run(run)
    assert 2 not in set(corrected.regions["class"]) | set(corrected.images["class"])
    assert list(corrected.classes["class"]) == [0, 1]
    assert not (run / replacement.PENDING).exists()


def test_a_full_disk_leaves_the_run_as_it_was(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _tables(run)
    read_run(run).labels.merge(1, [2])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anomalyncd.revision.write_changed", full)
    with pytest.raises(InputError, match="No space left"):
        correct_run(run)
    assert _tables(run) == before
    assert read_run(run).class_names.keys() == {0, 1, 2}


def test_labels_survive_a_discovery_that_is_made_again(
    run: Path, tiny: Path, images_folder: Path
) -> None:
    book = read_run(run).labels
    book.edit(1, name="scratch")
    book.move(book.ids[[3]], 1)
    estimator = AnomalyNCD(4, backbone="tiny", weights=tiny)
    discover_run(estimator, images_folder, run, overwrite=True)
    again = read_run(run).labels
    assert again.state.classes[1].name == "scratch"
    assert again.said()[3] == 1
    assert len(again.classes_of_discovery()) == 4
    assert again.classes_of_discovery().max() == 3
    assert read_run(run).regions["class_name"][3] == "scratch"
    assert again.n_pending == 0


def test_an_estimator_in_memory_is_corrected_by_names(
    tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    estimator = AnomalyNCD(3, backbone="tiny", weights=tiny).fit(images_folder)
    before = estimator.predictions_.images
    estimator.correct({0: "pit", 4: "class 1"})
    assert list(estimator.predictions_.regions["class_name"][[0, 4]]) == ["pit", "class 1"]
    assert estimator.labels_.tolist() == estimator.predictions_.images["class"].tolist()
    write_run(estimator, tmp_path / "run")
    written = read_run(tmp_path / "run")
    assert written.class_names == {0: "normal", 1: "class 1", 2: "class 2", 3: "pit"}
    assert written.labels.said()[[0, 4]].tolist() == [3, 1]
    assert "pit" in estimator.classify(images_folder).classes["class_name"].tolist()
    estimator.correct({})
    assert estimator.predictions_.images.equals(before)
    with pytest.raises(InputError, match="no region 999"):
        estimator.correct({999: "pit"})
    for odd in ("good/000", -1, 1.0, True, None):
        with pytest.raises(InputError, match=r"the rows are 0 to \d+"):
            estimator.correct({odd: "pit"})
    for name in (3, None, ""):
        with pytest.raises(InputError, match="name of a class"):
            estimator.correct({0: name})
    with pytest.raises(InputError, match="give a dictionary"):
        estimator.correct(["pit"])
    estimator.correct({np.int64(0): "pit"})


def test_labels_on_the_command_line(run: Path, tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments[:2], str(run), *arguments[2:]])
        assert result.exit_code == 0, result.output
        return result.output

    call("labels", "edit", "1", "--name", "scratch", "--kind", "defect")
    call("labels", "merge", "1", "2")
    target = tmp_path / "labels"
    call("labels", "export", "csv", str(target), "--normal")
    exported = (target / "labels.csv").read_text(encoding="utf-8-sig")
    assert "class 2" not in exported, "the merge counts before it is applied"
    (target / "labels.csv").write_text(exported.replace(",scratch,", ",pit,"), encoding="utf-8")
    call("labels", "import", str(target / "labels.csv"))
    assert "pit" in call("labels", "show")
    assert "merge class 2 into scratch" in call("labels", "history")
    call("labels", "undo")
    assert (read_run(run).labels.said() == -1).all()
    call("labels", "redo")
    result = CliRunner().invoke(app, ["correct", str(run)])
    assert result.exit_code == 0, result.output
    assert "pit" in set(read_run(run).images["class_name"])
    labelled = labelled_run(read_run(run)).regions
    assert labelled["confirmed"].all()
    shutil.rmtree(target)
    result = CliRunner().invoke(app, ["labels", "merge", str(run), "0", "7"])
    assert result.exit_code == 2
    assert "class 7 does not exist" in result.output


def test_a_discovery_drops_what_an_interrupted_correction_had_not_put_in_place(
    run: Path, tiny: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_run(run).labels.edit(1, name="scratch")
    with monkeypatch.context() as patch:
        patch.setattr(replacement, "finish_replacement", lambda folder: None)
        correct_run(run)
    assert (run / replacement.PENDING).is_dir()
    discover_run(AnomalyNCD(4, backbone="tiny", weights=tiny), images_folder, run, overwrite=True)
    assert list(read_run(run).class_names) == [0, 1, 2, 3]
    assert read_model(run / "model").n_classes == 4


def test_what_is_said_while_a_run_is_refitted_remains_to_be_applied(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refit = revision._refitted

    def say_more(*arguments: Any) -> Any:
        read_run(run).labels.edit(2, name="dent")
        return refit(*arguments)

    monkeypatch.setattr(revision, "_refitted", say_more)
    correct_run(run)
    assert read_run(run).class_names[2] == "class 2"
    assert read_run(run).labels.n_pending == 1


def test_two_programs_that_complete_a_correction_do_not_delete_its_model(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_run(run).labels.edit(1, name="scratch")
    with monkeypatch.context() as patch:
        patch.setattr(replacement, "finish_replacement", lambda folder: None)
        correct_run(run)
    errors: list[Exception] = []

    def read() -> None:
        try:
            assert read_run(run).class_names[1] == "scratch"
        except Exception as error:
            errors.append(error)

    def slow(source: Path, target: Path) -> None:
        sleep(0.02)
        move(source, target)

    move = replacement.move
    monkeypatch.setattr(replacement, "move", slow)
    threads = [Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert read_model(run / "model").n_classes == 3


def test_a_run_whose_classes_are_all_normal_has_a_report(run: Path) -> None:
    read_run(run).labels.merge(0, [1, 2])
    assert CliRunner().invoke(app, ["correct", str(run)]).exit_code == 0
    corrected = read_run(run)
    assert corrected.class_names == {0: "normal"}
    corrected.images["unseen"] = True
    assert "most like normal" in doubtful_images(corrected)["good/000"]


def test_moved_images_are_found_by_correct_and_export(
    run: Path, images_folder: Path, tmp_path: Path
) -> None:
    table = (run / "images.csv").read_text(encoding="utf-8")
    for name in ("images.csv", "regions.csv"):
        text = (run / name).read_text(encoding="utf-8")
        (run / name).write_text(text.replace(str(images_folder), "/gone"), encoding="utf-8")
    assert "/gone" in (run / "images.csv").read_text(encoding="utf-8") != table
    export = ["labels", "export", str(run), "folders", str(tmp_path / "crops")]
    for command in (["correct", str(run)], export):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert "give --images, the folder where they are now" in " ".join(result.stderr.split())
        found = CliRunner().invoke(app, [*command, "--images", str(images_folder)])
        assert found.exit_code == 0, found.output


def test_what_was_said_in_memory_joins_the_label_book_of_the_folder(
    run: Path, tiny: Path, images_folder: Path
) -> None:
    read_run(run).labels.edit(1, name="scratch")
    estimator = AnomalyNCD(3, backbone="tiny", weights=tiny).fit(images_folder)
    write_run(estimator.correct({0: "pit"}), run)
    assert {"scratch", "pit"} <= set(read_run(run).class_names.values())
    assert read_run(run).regions["class_name"][0] == "pit"
    assert read_run(run).labels.n_pending == 0


def test_a_description_does_not_ask_for_a_correction(
    run: Path, images_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_run(run).labels.edit(1, severity="major", escape_cost=20.0, description="deep")
    predict_run(run, images_folder, tmp_path / "new")
    assert "does not follow" not in caplog.text
    read_run(run).labels.edit(1, name="scratch")
    predict_run(run, images_folder, tmp_path / "new")
    assert "does not follow 2 actions" in caplog.text


@pytest.mark.parametrize("label_format", ["csv", "coco", "folders"])
def test_an_export_from_before_a_merge_does_not_make_the_class_again(
    run: Path, tmp_path: Path, label_format: str
) -> None:
    book = read_run(run).labels
    book.edit(1, name="scratch")
    book.edit(2, name="dent")
    export_labels(read_run(run), label_format, tmp_path / "labels")
    book.merge(1, [2])
    import_labels(read_run(run), tmp_path / "labels")
    assert [one.name for one in read_run(run).labels.state.in_use] == ["normal", "scratch"]


def test_results_that_a_killed_correction_left_are_removed_by_the_next_one(run: Path) -> None:
    killed = (
        "import os, sys; from pathlib import Path; "
        "from anomalyncd.results.replacement import replace_together; "
        "held = replace_together(Path(sys.argv[1])); held.__enter__(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", killed, str(run)], check=False)
    assert len(list(run.glob(".results-*"))) == 1
    correct_run(run)
    assert not list(run.glob(".results-*"))
