"""Maps and regions of finished runs against true masks."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from anomalyncd.cli.main import app
from anomalyncd.config import Config
from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import evaluate_run
from anomalyncd.evaluation.ground_truth import Truth
from anomalyncd.evaluation.map_evaluation import (
    MapEvaluation,
    Overlap,
    evaluate_maps,
    mask_overlap,
    mebin_quality,
    score_maps,
)
from anomalyncd.evaluation.metrics import label_regions
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.json_files import write_json
from anomalyncd.report.contents import detection_line
from anomalyncd.results.run_folder import FORMAT, read_run

SIZE, MAP_SIZE = (40, 60), (20, 30)
NAMES = [f"{kind}/{number}" for kind in ("good", "dent") for number in range(4)]


def truth_of(name: str) -> np.ndarray:
    truth = np.zeros(SIZE, np.bool_)
    if name.startswith("dent"):
        truth[10:20, 20:30] = True
    return truth


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8) * 255).save(path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run over images in the layout of MVTec AD; it misses dent/0 and has a region on good/3."""
    rng = np.random.default_rng(0)
    folder, rows, boxes = tmp_path / "run", [], []
    for name in NAMES:
        truth = truth_of(name)
        found = truth & (name != "dent/0")
        if name == "good/3":
            found[30:34, 40:44] = True
        save(tmp_path / "images" / "test" / f"{name}.png", truth)
        save(folder / "masks" / f"{name}.png", found[::2, ::2])
        if truth.any():
            save(tmp_path / "images" / "ground_truth" / f"{name}_mask.png", truth)
        scores = rng.random(MAP_SIZE).astype(np.float16) + truth[::2, ::2]
        path = folder / "maps" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, scores)
        image = str(tmp_path / "images" / "test" / f"{name}.png")
        rows.append((name, image, 1.0, int(found.any()), *SIZE))
        y, x = np.nonzero(found) if found.any() else ([0, 39], [0, 59])
        box = (min(x), min(y), max(x) + 1, max(y) + 1)
        boxes.append((name, image, *box, int(found.sum()), 1.0, bool(found.any())))
    images = pd.DataFrame(rows, columns=["name", "path", "score", "n_regions", "height", "width"])
    sides = ["left", "top", "right", "bottom"]
    regions = pd.DataFrame(boxes, columns=["name", "path", *sides, "area", "score", "found"])
    images, regions = (
        table.assign(class_name=table["name"].str.split("/").str[0], normal=False, p_0=1.0)
        for table in (images, regions)
    )
    images["class"] = regions["class"] = 0
    counts = {"n_images": 8, "n_regions": 8, "mean_area": 1.0, "mean_score": 1.0}
    classes = pd.DataFrame([{"class": 0, "class_name": "a", "normal": True, **counts}])
    for table, name in ((images, "images"), (regions, "regions"), (classes, "classes")):
        table.to_csv(folder / f"{name}.csv", index=False)
    for name, array in (("features", (8, 2)), ("counts", (8, 4)), ("normal_scores", (0,))):
        np.save(folder / f"{name}.npy", np.zeros(array, np.float32))
    record(folder, {"images": str(tmp_path / "images")})
    return folder


def record(folder: Path, inputs: dict[str, str]) -> None:
    rest = {"config": asdict(Config()), "stages": {}, "versions": {"anomalyncd": "0"}}
    write_json(folder / "run.json", {"format": FORMAT, "inputs": inputs, "maps": "given", **rest})


def evaluated(run: Path, masks: Path | None = None) -> MapEvaluation:
    detection = evaluate_maps(read_run(run), masks)
    assert detection is not None
    return detection


def test_masks_beside_the_images_are_found(run: Path) -> None:
    detection = evaluated(run)
    assert detection.maps is not None
    maps = [np.load(run / "maps" / f"{name}.npy").astype(np.float32) for name in NAMES]
    defective = [name.startswith("dent") for name in NAMES]
    exact = roc_auc_score(defective, [scores.max() for scores in maps])
    assert detection.maps.image_auroc == exact
    assert detection.maps.pixel_auroc == pytest.approx(1, abs=0.02)
    assert detection.maps.aupro == pytest.approx(1, abs=0.05)
    mebin = detection.mebin
    assert (mebin.normal_with_region, mebin.defective_without_region) == (0.25, 0.25)
    assert (mebin.region_precision, mebin.region_recall) == (0.75, 0.75)
    assert mebin.pixel_precision == pytest.approx(300 / 316)
    assert mebin.pixel_recall == pytest.approx(0.75)
    assert detection.n_unmarked == 0


def test_given_masks_and_maps_mean_the_same(run: Path, tmp_path: Path) -> None:
    beside = evaluated(run)
    assert evaluated(run, tmp_path / "images" / "ground_truth") == beside
    (run / "maps").rename(tmp_path / "maps")
    record(run, {"images": "in memory", "maps": str(tmp_path / "maps")})
    assert evaluated(run, tmp_path / "images" / "ground_truth") == beside
    rows = ["image,mask"] + [
        f"images/test/{name}.png,"
        + (f"images/ground_truth/{name}_mask.png" if name.startswith("dent") else "")
        for name in NAMES
    ]
    manifest = tmp_path / "images.csv"
    manifest.write_text("\n".join(rows), encoding="utf-8")
    table = pd.read_csv(run / "images.csv")
    for file in ("images.csv", "regions.csv"):
        named = pd.read_csv(run / file)
        named["name"] = "images/test/" + named["name"]
        named.assign(label=table["class_name"]).to_csv(run / file, index=False)
    (run / "masks").rename(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "run_masks")
    (run / "masks" / "images").mkdir(parents=True)
    (tmp_path / "run_masks").rename(run / "masks" / "images" / "test")
    (tmp_path / "all" / "images").mkdir(parents=True)
    (tmp_path / "maps").rename(tmp_path / "all" / "images" / "test")
    record(run, {"images": str(manifest), "maps": str(tmp_path / "all")})
    assert evaluated(run) == beside


def test_without_masks_labels_score_images_alone(run: Path) -> None:
    record(run, {"images": "in memory"})
    detection = evaluated(run)
    assert detection.maps is not None
    assert detection.maps.image_auroc is not None
    assert detection.maps.pixel_auroc is None
    assert detection.mebin.normal_with_region == 0.25
    assert detection.mebin.region_recall is None
    assert detection.n_unmarked == 0


def test_without_maps_regions_are_scored(run: Path, tmp_path: Path) -> None:
    (run / "maps").rename(tmp_path / "elsewhere")
    detection = evaluated(run)
    assert detection.maps is None
    assert detection.mebin.region_recall == 0.75
    assert set(evaluate_run(run).to_dict()) == {"images", "left_out", "confusion", "mebin"}


def test_defective_images_without_a_mark_count_for_no_pixel(run: Path, tmp_path: Path) -> None:
    (tmp_path / "images" / "ground_truth" / "dent" / "0_mask.png").unlink()
    detection = evaluated(run)
    assert detection.n_unmarked == 1
    assert detection.mebin.defective_without_region == 0.25
    assert detection.mebin.region_recall == 1


def test_masks_separate_images_whose_labels_name_no_normal_class(run: Path) -> None:
    images = pd.read_csv(run / "images.csv")
    labels = ["fine" if name.startswith("good") else "dent" for name in images["name"]]
    beside = evaluated(run)
    images.assign(label=labels).to_csv(run / "images.csv", index=False)
    assert evaluated(run) == beside


def test_places_that_a_run_ignored_are_ignored(run: Path, tmp_path: Path) -> None:
    save(tmp_path / "ignore.png", ~truth_of("dent/0"))
    record(run, {"images": str(tmp_path / "images"), "ignore": str(tmp_path / "ignore.png")})
    detection = evaluated(run)
    assert detection.maps is not None
    assert detection.maps.image_auroc == 1


def test_a_run_from_masks_has_no_maps_to_score(run: Path, tmp_path: Path) -> None:
    np.save(run / "counts.npy", np.zeros((8, 0)))
    assert evaluate_maps(read_run(run)) is None
    with pytest.raises(InputError, match="made from given masks"):
        evaluate_maps(read_run(run), tmp_path / "images" / "ground_truth")


def test_misfits_are_refused_only_where_masks_were_given(run: Path, tmp_path: Path) -> None:
    truth = tmp_path / "images" / "ground_truth"
    save(truth / "dent" / "1_mask.png", np.ones((60, 40)))
    assert evaluate_maps(read_run(run)) is None
    with pytest.raises(InputError, match="not turned"):
        evaluate_run(run, masks=truth)
    save(truth / "dent" / "9_mask.png", np.ones(SIZE))
    assert "maps" not in evaluate_run(run).to_dict()
    with pytest.raises(InputError, match=r"9_mask\.png' has no image"):
        evaluate_run(run, masks=truth)
    with pytest.raises(InputError, match="does not exist"):
        evaluate_run(run, masks=tmp_path / "nowhere")


def test_command_prints_what_is_known(run: Path, tmp_path: Path) -> None:
    masks = ["--masks", str(tmp_path / "images" / "ground_truth")]
    result = CliRunner().invoke(app, ["evaluate", str(run), *masks])
    assert result.exit_code == 0
    assert "AUPRO" in result.stdout
    scores = json.loads(CliRunner().invoke(app, ["evaluate", str(run), "--json"]).stdout)
    assert set(scores["maps"]) == {"image_auroc", "pixel_auroc", "aupro"}
    assert scores["mebin"]["region_precision"] == 0.75
    missing = CliRunner().invoke(app, ["evaluate", str(run), "--masks", str(tmp_path / "x")])
    assert missing.exit_code == 2


def test_report_has_the_scores_in_a_sentence(run: Path) -> None:
    line = detection_line(evaluated(run))
    assert "AUPRO" in line
    assert "25.0 % of the normal images have a region" in line
    record(run, {"images": "in memory"})
    assert "AUPRO" not in detection_line(evaluated(run))
    assert detection_line(None) == ""


def test_regions_and_pixels_are_counted() -> None:
    truth, predicted = np.zeros((2, 20, 40), np.bool_)
    truth[0:4, 0:4] = truth[10:14, 20:24] = True  # The second one is missed.
    predicted[2:6, 2:6] = predicted[0:2, 30:32] = True  # The second one is no defect.
    boxes = np.array([[-0.1, -0.2, 0.2, 0.4], [0.7, 0, 0.9, 0.2]])
    overlap = mask_overlap(predicted, label_regions(truth), boxes)
    assert overlap == Overlap(20, 32, 4, 2, 1, 2, 1)
    quality = mebin_quality(np.array([True]), np.array([True]), overlap + overlap)
    assert (quality.pixel_precision, quality.pixel_recall) == (0.2, 0.125)
    assert (quality.region_precision, quality.region_recall) == (0.5, 0.5)
    assert (quality.normal_with_region, quality.defective_without_region) == (None, 0)


def test_a_box_that_reaches_a_defect_does_not_find_it() -> None:
    truth, predicted = np.zeros((2, 10, 10), np.bool_)
    truth[0, 0] = predicted[9, 9] = True
    overlap = mask_overlap(predicted, label_regions(truth), np.array([[0, 0, 1, 1.0]]))
    assert (overlap.predicted_regions_touching, overlap.true_regions_touched) == (0, 0)


def test_masks_are_compared_at_the_size_of_the_true_mask() -> None:
    truth, predicted = np.zeros((40, 80), np.bool_), np.zeros((10, 20), np.bool_)
    truth[8:16, 8:16] = predicted[2:4, 2:4] = True
    overlap = mask_overlap(predicted, label_regions(truth), np.array([[0.1, 0.2, 0.2, 0.4]]))
    assert overlap == Overlap(64, 64, 64, 1, 1, 1, 1)


def test_images_are_counted_without_masks() -> None:
    with_region = np.array([True, False, False, False, True, True, False])
    defective = np.array([False, False, False, False, True, True, True])
    quality = mebin_quality(with_region, defective)
    assert quality.normal_with_region == 0.25
    assert quality.defective_without_region == pytest.approx(1 / 3)
    assert quality.pixel_recall is None
    assert quality.region_precision is None


masks = arrays(np.bool_, (6, 7))


@given(masks, masks, st.booleans())
def test_overlap_is_that_of_the_masks(
    predicted: np.ndarray, truth: np.ndarray, whole: bool
) -> None:
    boxes = np.array([[0, 0, 1, 1.0]]) if whole else np.zeros((0, 4))
    overlap = mask_overlap(predicted, label_regions(truth), boxes)
    assert overlap.shared_pixels == np.count_nonzero(predicted & truth)
    touched = np.unique(label_regions(truth)[predicted & truth])
    assert overlap.true_regions_touched == len(touched)
    assert overlap.true_regions == label_regions(truth).max()
    assert overlap.predicted_regions_touching == (whole and bool((predicted & truth).any()))


def test_maps_are_scored_without_their_ignored_pixels() -> None:
    images = ImageSet.from_list([np.zeros((*SIZE, 3), np.uint8)] * 5)
    left, middle = np.array([[0.0, 0, 20, 20]]), np.array([[10.0, 5, 30, 25]])
    truth = Truth(
        np.tile(SIZE, (5, 1)),
        np.array([0, 0, 1, -1, -1]),
        Masks(images, (None, None, None, middle, None)),
    )
    maps = np.random.default_rng(0).random((5, *SIZE)).astype(np.float32) * 0.8
    maps[:, 35, 55] = (0.85, 0.95, 0.9, 1.0, 3.0)
    maps[0, 5, 5] = 2
    marked, counted = np.zeros((2, 5, *SIZE), bool)
    marked[3, 5:25, 10:30] = True
    # The defects of the third image are not marked, and nothing is known of the fifth.
    counted[[0, 1, 3]] = True
    counted[0, :20, :20] = False
    ignored = Masks(images, (left, None, None, None, None))
    scores = score_maps(AnomalyMaps(images.names, tuple(maps), ignored), truth)
    assert scores.image_auroc == 0.75
    exact = roc_auc_score(marked[counted], maps[counted])
    assert scores.pixel_auroc == pytest.approx(exact, abs=1e-5)
    assert score_maps(AnomalyMaps(images.names, tuple(maps)), truth).image_auroc == 0.25
