"""What is exported from a run and imported unchanged changes nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.exchange.run_labels import export_labels, import_labels, labelled_run
from anomalyncd.exchange.writing import LABEL_FORMATS
from anomalyncd.results.run_folder import Run

NAMES = ("c", "images/a", "a", "images_/a")
CLASSES = ("normal", "class 1", "class 2", "class 3")
SIZE = 40


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two regions on each of four images."""
    noise, marks = np.random.default_rng(0), np.zeros((SIZE, SIZE), np.uint8)
    marks[4:14, 4:14] = marks[20:36, 20:36] = 255
    for name in NAMES:
        for folder, pixels in (
            ("photos", noise.integers(0, 255, (SIZE, SIZE, 3), np.uint8)),
            ("run/masks", marks),
        ):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    paths = [str(tmp_path / "photos" / f"{name}.png") for name in NAMES]
    images = pd.DataFrame({"name": NAMES, "path": paths, "height": SIZE, "width": SIZE})
    classes = np.arange(8) * 3 % 4
    start = np.arange(8) % 2 * 16 + 3.0
    regions = pd.DataFrame({"name": np.repeat(NAMES, 2), "left": start, "top": start, "score": 0.5})
    regions = regions.assign(right=start + 12 + start // 2, bottom=start + 12 + start // 2)
    regions = regions.assign(**{"class": classes, "class_name": [CLASSES[one] for one in classes]})
    table = pd.DataFrame({"class": range(4), "class_name": CLASSES})
    table["normal"] = table["class"] == 0
    np.save(tmp_path / "run/probabilities.npy", np.eye(4, dtype=np.float32)[classes])
    none = np.zeros((0, 0), np.int64)
    return Run(
        *(tmp_path / "run", images, regions, table, np.zeros((8, 2), np.float32)),
        *(none, np.zeros(0), None, {}),
    )


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("format", sorted(set(LABEL_FORMATS) - {"label-studio"}))
def test_an_unchanged_round_trip_changes_nothing(
    run: Run, format: str, named: bool, tmp_path: Path
) -> None:
    classes = run.regions["class"].to_numpy()
    if named:
        run.labels.edit(1, name="pit: deep")
        run.labels.edit(2, name="pit_ deep")
        run.labels.edit(3, name="# 3")
    export_labels(run, format, tmp_path / "out", normal=True)
    assert run.has_labels == named, "an export needs no label book, and makes none"
    before = labelled_run(run)
    matched = import_labels(run, tmp_path / "out")
    assert matched.unmatched.empty, matched.summary
    assert list(run.labels.said()) == list(classes)
    assert list(before.regions["id"]) == list(run.labels.ids)
    assert [one.id for one in run.labels.state.in_use] == [0, 1, 2, 3], "no class was made"


def test_ultralytics_finds_the_labels_of_images_in_a_folder_of_images(
    run: Run, tmp_path: Path
) -> None:
    export_labels(run, "yolo", tmp_path / "out")
    images = [path.as_posix() for path in (tmp_path / "out/images").rglob("*.png")]
    # As `img2label_paths` of Ultralytics has it.
    labels = ["/labels/".join(one.rsplit("/images/", 1)).rsplit(".", 1)[0] for one in images]
    assert len(labels) == len(NAMES)
    assert all(Path(f"{one}.txt").is_file() for one in labels)


@pytest.mark.parametrize("format", ["csv", "folders"])
def test_labels_of_another_run_are_about_the_same_places(
    run: Run, format: str, tmp_path: Path
) -> None:
    export_labels(run, format, tmp_path / "out", normal=True)
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other/probabilities.npy", np.load(run.folder / "probabilities.npy")[2:])
    (run.folder / "masks").rename(tmp_path / "other/masks")
    other = Run(
        tmp_path / "other", run.images[1:], run.regions[2:], run.classes, run.features[2:],
        run.counts, run.normal_scores, None, {},
    )  # fmt: skip
    if format == "folders":  # A crop does not say where on its image it was.
        with pytest.raises(InputError, match="region 4 is on another image"):
            import_labels(other, tmp_path / "out")
        return
    matched = import_labels(other, tmp_path / "out")
    assert matched.unmatched["name"].tolist() == ["c"] * 2
    assert list(other.labels.said()) == list(run.regions["class"][2:])
