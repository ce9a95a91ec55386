"""From files as they lie on disk to results, by the commands and by the same library calls."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd import AnomalyNCD
from anomalyncd.results.run_folder import read_table as read_images
from support.quick import SIZE, call, damage, succeed


@pytest.fixture
def manifest(images_folder: Path, tmp_path: Path) -> Path:
    """The plates with labels of their own, a lot and a split; good ones are for training."""
    path = tmp_path / "plates.csv"
    kinds = {name: name.replace("line", "strich") for name in ("good", "line", "spot")}
    rows = [
        {
            "image": (images_folder / kind / f"{index:03}.png").as_posix(),
            "label": label if index else "",
            "split": "train" if kind == "good" and index < 2 else "test",
            "lot": f"00{index}",
        }
        for kind, label in kinds.items()
        for index in range(4)
    ]
    pd.DataFrame(rows).to_csv(path, index=False, sep=";")
    return path


def test_a_manifest_is_carried_to_every_output(
    options: list[str], manifest: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    normals = ("--normals", manifest, "--out", run)
    succeed("discover", manifest, "--classes", 3, *normals, *options)
    images = read_images(run)
    assert list(images.columns[-3:]) == ["label", "split", "lot"]
    assert list(images["lot"]) == ["002", "003", *["000", "001", "002", "003"] * 2]
    assert (images["split"] == "test").all()
    regions = pd.read_csv(run / "regions.csv", dtype=str, keep_default_na=False)
    lots = dict(zip(images["name"], images["lot"], strict=True))
    assert all(lots[name] == lot for name, lot in zip(regions["name"], regions["lot"], strict=True))

    scores = json.loads(succeed("evaluate", run, "--json"))
    assert scores["images"]["n"] == 8
    assert scores["left_out"] == {"no label": 2}
    assert set(scores["confusion"]) == {"good", "strich", "spot"}

    succeed("predict", run, manifest)
    predicted = read_images(run / "predictions" / "plates")
    pd.testing.assert_series_equal(predicted["lot"], images["lot"])


def test_regions_of_a_run_are_boxes_for_the_next(
    options: list[str], tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    for kind, index in (("spot", 0), ("line", 1)):
        seed = 10 * ("good", "line", "spot").index(kind) + index
        path = tmp_path / "masks" / kind / f"{index:03}_mask.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(damage(kind, seed)).save(path)
    marks = ("--masks", tmp_path / "masks", "--out", tmp_path / "one")
    succeed("discover", images_folder, "--classes", 2, *marks, *options)
    boxes = tmp_path / "one" / "regions.csv"
    again = ("--boxes", boxes, "--out", tmp_path / "two")
    succeed("discover", images_folder, "--classes", 2, *again, *options)
    counts = [read_images(tmp_path / run)["n_regions"] for run in ("one", "two")]
    pd.testing.assert_series_equal(*counts)
    assert counts[0].sum() == 2
    succeed("predict", tmp_path / "two", images_folder, "--boxes", boxes)
    model = AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images_folder, boxes=boxes)
    assert np.array_equal(read_images(tmp_path / "two")["class"], model.labels_)


def test_nothing_is_found_where_all_is_ignored(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    half = np.zeros(SIZE, np.uint8)
    half[:, SIZE[1] // 2 :] = 255
    Image.fromarray(half).save(tmp_path / "half.png")
    ignore = ("--ignore", tmp_path / "half.png", "--out", tmp_path / "run")
    succeed("discover", images_folder, "--classes", 2, *ignore, *options)
    succeed("predict", tmp_path / "run", images_folder, "--ignore", tmp_path / "half.png")
    for folder in (tmp_path / "run", tmp_path / "run" / "predictions" / "plates"):
        for path in (folder / "masks").rglob("*.png"):
            mask = np.asarray(Image.open(path))
            assert not mask[:, mask.shape[1] // 2 :].any()


def test_prepare_and_check(images_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists" / "plates.csv"
    said = succeed("data", "prepare", "folders", images_folder, "--out", out)
    assert said == f"12 images of 3 classes; see {out}\n"
    sheet = tmp_path / "check.jpg"
    said = succeed("data", "check", out, "--sheet", sheet)
    assert "12, of which 12 can be read" in said
    assert "good (4), line (4), spot (4)" in said
    assert said.endswith(f"thumbnails: {sheet}\nnothing is wrong\n")
    assert Image.open(sheet).format == "JPEG"


def test_check_names_every_fault_and_ends_in_2(tmp_path: Path) -> None:
    for folder in ("images", "normals"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        (tmp_path / "images" / f"{name}.png").write_bytes(b"")
    normals = ("--normals", tmp_path / "normals", "--normal-maps", tmp_path / "normals")
    result = call("data", "check", tmp_path / "images", *normals)
    assert result.exit_code == 2
    assert "2, of which 0 can be read" in result.stdout
    lines = result.stderr.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("error: no image under")
    assert lines[1].endswith("give --normals, --maps and --normal-maps")
    assert sum(line.startswith("error: image") for line in lines) == 2
    result = call("data", "prepare", "coco", tmp_path, "--out", tmp_path / "x.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: layout 'coco' is not known")
