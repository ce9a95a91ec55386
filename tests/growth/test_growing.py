"""A run that takes in new images: nothing is lost, nothing is mixed up, names and labels stay."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd import AnomalyNCD, InputError, revision
from anomalyncd.report.report import write_report
from anomalyncd.results import replacement
from anomalyncd.results.run_folder import Run, read_run
from anomalyncd.revision import correct_run, grow_run
from anomalyncd.workflows import discover_run
from support.quick import picture, succeed, use_tiny


@pytest.fixture(scope="module")
def discovered(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run over the images of the three kinds; nobody writes into it."""
    folder = tmp_path_factory.mktemp("grown")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights)
        discover_run(estimator, images_folder, folder / "run")
    return folder / "run"


@pytest.fixture
def run(discovered: Path, tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(discovered, tmp_path / "run"))


def _images(folder: Path, *kinds: str, start: int = 50) -> Path:
    folder.mkdir()
    for index, kind in enumerate(kinds, start):
        Image.fromarray(picture(kind, index)).save(folder / f"{kind} {index}.png")
    return folder


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return _images(tmp_path / "new", "spot", "line", "good")


def _contents(run: Path) -> dict[str, bytes]:
    """All files but the log and the label book, which opening it changes."""
    others = {"run.log", "labels.sqlite"}
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name not in others)
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def _same_rows(first: pd.DataFrame, second: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(first, second.iloc[: len(first)], rtol=1e-5)


def test_new_images_stand_behind_the_others_in_every_file(run: Path, new: Path) -> None:
    before, predicted = read_run(run), AnomalyNCD.load(run / "model").classify(new)
    discovered = before.probabilities  # Read before the file is replaced.
    growth = grow_run(run, new)
    grown = read_run(run)
    assert (growth.n_images, growth.n_images_changed, growth.n_regions_changed) == (3, 0, 0)
    assert list(grown.images["name"][12:]) == ["good 52", "line 51", "spot 50"]
    _same_rows(before.images, grown.images)
    _same_rows(before.regions, grown.regions)
    n_regions = len(before.regions)
    assert grown.n_discovered == n_regions
    assert list(grown.regions["name"][n_regions:]) == list(predicted.regions["name"])
    joined = np.concatenate([discovered, predicted.probabilities])
    np.testing.assert_array_equal(grown.probabilities, joined)
    for name in ("features", "counts"):
        joined = np.concatenate([getattr(before, name), getattr(predicted, name)])
        np.testing.assert_array_equal(getattr(grown, name), joined)
    assert grown.attention is not None
    assert len(grown.attention) == len(grown.regions)
    classes = predicted.probabilities.argmax(1)
    assert list(grown.regions["class"][n_regions:]) == classes.tolist()
    np.testing.assert_array_equal(grown.mask("spot 50"), predicted.masks[2])
    assert (run / "maps" / "spot 50.npy").is_file()
    assert not (run / ".growing").exists()
    assert grown.record["n_images"] == len(grown.images) == 15
    assert grown.record["grown"][0]["n_images"] == 3
    assert [one.name for one in grown.labels.history] == ["discovered", "grown"]
    assert grown.classes["n_images"].sum() == 15
    write_report(run)


def test_attention_of_new_regions_is_that_of_a_discovery(run: Path, images_folder: Path) -> None:
    expected = read_run(run).attention
    predicted = AnomalyNCD.load(run / "model").classify(images_folder).attention
    assert expected is not None
    np.testing.assert_array_equal(predicted, expected)


def test_a_run_grows_twice_and_leaves_out_what_it_has(run: Path, new: Path, tmp_path: Path) -> None:
    grow_run(run, new)
    n_discovered = read_run(run).n_discovered
    Image.fromarray(picture("spot", 60)).save(new / "spot 60.png")
    growth = grow_run(run, new)
    assert growth.n_images == 1
    grown = read_run(run)
    assert list(grown.images["name"][-2:]) == ["spot 50", "spot 60"]
    assert grown.n_discovered == n_discovered
    assert [one["n_images"] for one in grown.record["grown"]] == [3, 1]
    copied = shutil.copytree(new, tmp_path / "copied")
    contents = _contents(run)
    with pytest.raises(InputError, match=r"are in run .* already"):
        grow_run(run, copied)
    Image.fromarray(picture("line", 61)).save(copied / "spot 60.png")
    with pytest.raises(InputError, match="'spot 60' has the name of another image"):
        grow_run(run, copied)
    assert _contents(run) == contents


def test_maps_of_images_that_are_left_out_do_no_harm(
    tiny: Path, images_folder: Path, new: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    estimator = AnomalyNCD(3, backbone="tiny", weights=tiny)
    discover_run(estimator, images_folder, tmp_path / "first")
    shutil.copytree(tmp_path / "first" / "maps", maps)
    discover_run(estimator, images_folder, tmp_path / "run", maps=maps)
    both = shutil.copytree(images_folder, tmp_path / "both")
    shutil.copy(new / "spot 50.png", both / "spot" / "050.png")
    shutil.copy(maps / "spot" / "000.npy", maps / "spot" / "050.npy")
    assert grow_run(tmp_path / "run", both, maps=maps).n_images == 1
    assert read_run(tmp_path / "run").images["name"].iloc[-1] == "spot/050"


def test_names_and_corrections_stay(run: Path, new: Path) -> None:
    labels = read_run(run).labels
    labels.edit(1, name="scratch")
    pit = labels.new_class("pit", labels.ids[[4, 5]].tolist())
    correct_run(run)
    before = read_run(run)
    grow_run(run, new)
    grown = read_run(run)
    # What was said spreads to similar regions, and there are more of these now.
    assert (before.images["class"] == grown.images["class"][:12]).all()
    assert grown.class_names == before.class_names
    assert list(grown.regions["class"][[4, 5]]) == [pit, pit]
    assert [one.name for one in grown.labels.history][-2:] == ["corrected", "grown"]
    names = grown.labels.state.classes
    assert (names[1].name, names[pit].name) == ("scratch", "pit")
    # What was said of regions that were added holds as well.
    labels = grown.labels
    labels.move(labels.ids[-1:].tolist(), pit)
    correct_run(run)
    assert read_run(run).regions["class"].iloc[-1] == pit


def test_columns_of_manifests_stay_and_are_added(run: Path, new: Path, tmp_path: Path) -> None:
    table = "image,lot\n" + "".join(f"{path.name},7\n" for path in sorted(new.glob("*.png")))
    (new / "list.csv").write_text(table, encoding="utf-8")
    grow_run(run, new / "list.csv")
    other = _images(tmp_path / "other", "line", start=80)
    grow_run(run, other)
    assert list(read_run(run).images["lot"]) == [""] * 12 + ["7"] * 3 + [""]


class _Killed(BaseException):
    """As a signal would."""


def test_interrupted_anywhere_the_run_is_as_before_or_grown(
    run: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_run(run).labels.edit(1, name="scratch")
    contents = _contents(run)
    for module, name in (
        (revision, "with_images_added"),
        (revision, "write_pictures"),
        (revision, "write_arrays"),
        (revision, "write_changed"),
    ):
        with monkeypatch.context() as patch:

            def killed(*_: object) -> None:
                raise _Killed

            patch.setattr(module, name, killed)
            with pytest.raises(_Killed):
                grow_run(run, new)
        after = _contents(run)
        assert {name: after[name] for name in contents} == contents, name
        assert len(read_run(run).labels.history) == 2
    # Maps that were made before the interruption are used.
    moved = _interrupted_while_moving(run, new, monkeypatch)
    assert moved == 2
    grown = read_run(run)
    assert len(grown.images) == 15
    assert grown.n_discovered < len(grown.regions) == len(grown.probabilities)
    assert [one.name for one in grown.labels.history] == ["discovered", "edit"]


def _interrupted_while_moving(run: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Stops while files are put in place; returns how many were."""
    moved: list[Path] = []
    move = replacement.move

    def some(source: Path, target: Path) -> None:
        if len(moved) == 2:
            raise _Killed
        moved.append(target)
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(replacement, "move", some)
        with pytest.raises(_Killed):
            grow_run(run, new)
    return len(moved)


def test_maps_are_not_made_twice(
    run: Path, new: Path, forwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(revision, "_add", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            grow_run(run, new)
    first = len(forwards)
    grow_run(run, new)
    assert len(forwards) - first < first


def test_command(run: Path, new: Path) -> None:
    said = succeed("grow", run, new)
    assert "3 images" in said
    assert "no new class is proposed" in said


def test_a_new_kind_is_proposed_accepted_and_predicted(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _images(tmp_path / "stains", *["spot"] * 2, *["line"] * 2, start=30)
    for index in range(12):
        Image.fromarray(_stained(index)).save(folder / f"stain {index}.png")
    said = succeed("grow", run, folder)
    grown = read_run(run)
    (proposed,) = _proposals(grown)
    assert f"labels accept {run} {grown.labels.ids[proposed[0]]} --name" in " ".join(said.split())
    names = grown.regions["name"].iloc[proposed]
    stains = names.str.startswith("stain")
    assert stains.sum() >= 9
    assert stains.mean() > 0.8
    labels = grown.labels
    stain = labels.new_class("stain", labels.ids[proposed].tolist())
    correct_run(run)
    assert not _proposals(read_run(run))
    Image.fromarray(_stained(99)).save(tmp_path / "new stain.png")
    predicted = AnomalyNCD.load(run / "model").classify([tmp_path / "new stain.png"])
    assert f"p_{stain}" in predicted.images
    assert stain in predicted.regions["class"].to_numpy()


def _proposals(run: Run) -> list[np.ndarray]:
    from anomalyncd.growth.proposals import proposals

    return [one.rows for one in proposals(run, run.labels)]


def _stained(seed: int) -> np.ndarray:
    """A plate with a red patch."""
    pixels, rng = picture("good", 500 + seed), np.random.default_rng(seed)
    top, left = rng.integers(4, 40), rng.integers(4, 60)
    pixels[top : top + 24, left : left + 24] = (230, 20, 20)
    return pixels
