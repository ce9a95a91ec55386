"""Runs of images of more than 8 bits, and of sets with damaged images."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.evaluation.evaluate import evaluate_run
from anomalyncd.evaluation.ground_truth import truth_of_run
from anomalyncd.images.levels import Levels
from anomalyncd.report.pictures import image_pictures
from anomalyncd.results.run_folder import read_run
from anomalyncd.workflows import discover_run, predict_run
from support.quick import damage, picture

KINDS = ("good", "line", "spot")


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Twelve photographs of 12 bits with their masks, half of them with a hot pixel."""
    for kind in KINDS:
        for index in range(4):
            pixels = picture(kind, index).astype(np.uint16) * 16
            if index % 2:
                pixels[3, 3] = 60000
            save(tmp_path / f"photos/test/{kind}/{index}.png", pixels)
            if kind != "good":
                truth = damage(kind, index).astype(np.uint8) * 255
                save(tmp_path / f"photos/ground_truth/{kind}/{index}.png", truth)
    return tmp_path / "photos"


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def test_levels_are_recorded_and_used_for_new_images(
    deep: Path, tiny: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    model = AnomalyNCD(3, backbone="tiny", weights=tiny)
    discover_run(model, deep, run, masks=deep / "ground_truth")
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["levels"] == {
        "black": 0,
        "white": 4095,
    }
    loaded = AnomalyNCD.load(run / "model", weights=tiny)
    assert loaded.model_.levels == Levels(0, 4095)
    dark = [picture("line", 9).astype(np.uint16)]
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("left,top,right,bottom\n5,5,30,30\n", encoding="utf-8")
    features = [
        loaded.classify(dark, boxes=boxes, white_level=white).features
        for white in (None, 4095, 255)
    ]
    np.testing.assert_array_equal(features[0], features[1])
    assert not np.allclose(features[0], features[2], atol=0.05)


def test_the_report_shows_images_with_the_levels_of_the_run(
    deep: Path, tiny: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    model = AnomalyNCD(3, backbone="tiny", weights=tiny)
    discover_run(model, deep, run, masks=deep / "ground_truth", white_level=65535)
    dark = dict(image_pictures(read_run(run), ["good/0"]))["good/0"]
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["levels"]["white"] == 65535
    record["levels"]["white"] = 4095
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert dict(image_pictures(read_run(run), ["good/0"]))["good/0"] != dark


def test_a_run_without_its_damaged_images(deep: Path, tiny: Path, tmp_path: Path) -> None:
    for name in ("line/1", "good/2"):
        (deep / f"test/{name}.png").write_bytes(b"damaged")
    run, masks = tmp_path / "run", deep / "ground_truth"
    model = AnomalyNCD(3, backbone="tiny", weights=tiny)
    with pytest.raises(InputError, match="cannot be read"):
        model.fit(deep, masks=masks)
    discover_run(model, deep, run, masks=masks, skip_damaged=True)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["skipped"] == ["good/2", "line/1"]
    assert "2 of 12 images cannot be read" in record["warnings"][0]
    assert record["n_images"] == len(model.labels_) == 10
    truth = truth_of_run(read_run(run))
    assert truth is not None
    assert truth.masks is not None
    assert len(truth.masks) == 10
    assert evaluate_run(run).confusion.to_numpy().sum() == 10
    predicted = predict_run(
        run, deep, tmp_path / "new", weights=tiny, masks=masks, skip_damaged=True
    )
    assert predicted.skipped == ("good/2", "line/1")
    assert len(predicted.images) == 10
