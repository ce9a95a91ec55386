"""Masks of the product through the estimator, the command line, a model and a run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalyncd import PRESETS, AnomalyNCD, InputError, ObjectSettings
from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts
from anomalyncd.detect import object_prior
from anomalyncd.detect.object_masks import ObjectSummary
from anomalyncd.detect.object_prior import ObjectPrior
from anomalyncd.detect.product import Product, find_product
from anomalyncd.finished_run import read_run
from anomalyncd.report.report import write_report
from anomalyncd.runs import discover_run
from conftest import SIZE, picture, succeed


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """One mask for all parts: the left half is product."""
    mask = np.zeros(SIZE, bool)
    mask[:, : SIZE[1] // 2] = True
    Image.fromarray(mask).save(tmp_path / "product.png")
    return tmp_path / "product.png"


def test_given_masks_reach_the_run_and_its_report(
    options: list[str], parts_folder: Path, objects: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    given = ("--objects", objects)
    said = succeed("discover", parts_folder, "--classes", 2, "--out", run, *given, *options)
    assert "product: given (masks were given); 50 % to 50 % of a picture, median 50 %" in said
    mask = read_run(run).object_mask("spot/001")
    assert mask[:, : mask.shape[1] // 2 - 1].all()
    assert not mask[:, mask.shape[1] // 2 + 1 :].any()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["objects"]["source"] == "given"
    assert record["objects"]["n_pictures"] == 12
    assert record["objects"]["shares"] == pytest.approx([0.5] * 3, abs=0.01)
    page = write_report(run).read_text(encoding="utf-8")
    assert "Masks of the product were given. It covers 50 % to 50 %" in page
    assert page.count("the background darkened") == 12
    new = tmp_path / "new"
    new.mkdir()
    Image.fromarray(picture("spot", 77)).save(new / "a.png")
    succeed("predict", run, new, *given)
    assert (run / "predictions" / "new" / "objects" / "a.png").is_file()
    succeed("predict", run, new, *given)
    assert "objects" in succeed("data", "check", parts_folder, *given)


def test_new_parts_need_what_the_model_was_made_with(
    tiny: Path, parts_folder: Path, objects: Path
) -> None:
    model = AnomalyNCD(2, backbone="tiny", weights=tiny)
    new = [picture("spot", 3)]
    plain = model.fit(parts_folder)
    assert plain.objects_ is None
    with pytest.raises(InputError, match="takes whole pictures for product"):
        plain.predict(new, objects=objects)
    with_masks = model.fit(parts_folder, objects=objects)
    with pytest.raises(InputError, match="give those of the new parts"):
        with_masks.predict(new)
    assert len(with_masks.predict(new, objects=objects)) == 1


def test_textures_are_told_to_be_some(tiny: Path, parts_folder: Path, tmp_path: Path) -> None:
    settings = replace(PRESETS["default"], objects=ObjectSettings())
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, preset=settings)
    discover_run(model, parts_folder, tmp_path / "run")
    assert model.objects_ == ObjectSummary("none", "texture: no plain background found", 0, 0, None)
    assert "objects" in model.stages_.seconds
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "No plain background was found, as for textures" in page


@pytest.mark.parametrize("found", [True, False])
def test_prior_is_saved_with_the_model(
    found: bool,
    tiny: Path,
    parts_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def everywhere(pictures: list) -> Product | None:
        tokens = pictures[0].flatten(1).T.float()
        direction = tokens[0] / tokens[0].norm()
        return Product(tokens.mean(0), direction, 0.0) if found else find_product(pictures)

    monkeypatch.setattr(object_prior, "find_product", everywhere)
    settings = replace(PRESETS["default"], objects=ObjectSettings())
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, preset=settings).fit(parts_folder)
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model").object_prior_
    assert loaded is not None
    assert (loaded.source, loaded.reason) == (
        model.object_prior_.source,
        model.object_prior_.reason,
    )
    assert (loaded.source == "backbone") == found
    new = [picture("spot", 3)]
    for one, name in ((model, "a"), (AnomalyNCD.load(tmp_path / "model"), "b")):
        one.inspect(new, folder=tmp_path / name)
    if found:
        assert loaded.product is not None
        assert loaded.product.threshold == model.object_prior_.product.threshold
        masks = [(tmp_path / name / "objects" / "000.png").read_bytes() for name in "ab"]
        assert masks[0] == masks[1]


def test_words_are_saved_with_the_model(tiny: Path, parts_folder: Path, tmp_path: Path) -> None:
    model = AnomalyNCD(2, backbone="tiny", weights=tiny).fit(parts_folder)
    model.object_prior_ = ObjectPrior("grounded-sam", "asked for 'nut.'", prompt="nut.")
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model").object_prior_
    assert loaded is not None
    assert vars(loaded) == vars(model.object_prior_)


def test_boxes_may_mark_the_product(tiny: Path, parts_folder: Path, objects: Path) -> None:
    parts = Parts.from_folder(parts_folder)
    boxes = np.array([[0.0, 0, 40, 72]])
    model = AnomalyNCD(2, backbone="tiny", weights=tiny)
    model.fit(parts, objects=Masks(parts, (boxes,) * len(parts)))
    assert model.objects_ is not None
    assert model.objects_.shares == pytest.approx((40 / 96,) * 3, abs=0.02)
