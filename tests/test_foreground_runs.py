"""Masks of the product through the estimator, the command line, a model and a run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd import (
    PRESETS,
    AnomalyNCD,
    ForegroundConfig,
    InputError,
)
from anomalyncd.foreground import foreground as foreground_module
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.foreground.masks import ForegroundSummary
from anomalyncd.foreground.principal_component import PrincipalComponent, fit_principal_component
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.masks import Masks
from anomalyncd.line.predictor import Predictor
from anomalyncd.report.report import write_report
from anomalyncd.results.run_folder import read_run
from anomalyncd.workflows import discover_run
from support.quick import SIZE, picture, succeed


@pytest.fixture
def foreground(tmp_path: Path) -> Path:
    """One mask for all images: the left half is product."""
    mask = np.zeros(SIZE, bool)
    mask[:, : SIZE[1] // 2] = True
    Image.fromarray(mask).save(tmp_path / "product.png")
    return tmp_path / "product.png"


def test_given_masks_reach_the_run_and_its_report(
    options: list[str], images_folder: Path, foreground: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    given = ("--foreground", foreground)
    said = succeed("discover", images_folder, "--classes", 2, "--out", run, *given, *options)
    assert "foreground: given (masks were given); 50 % to 50 % of an image, median 50 %" in said
    mask = read_run(run).foreground_mask("spot/001")
    assert mask[:, : mask.shape[1] // 2 - 1].all()
    assert not mask[:, mask.shape[1] // 2 + 1 :].any()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["foreground"]["source"] == "given"
    assert record["foreground"]["n_images"] == 12
    assert record["foreground"]["shares"] == pytest.approx([0.5] * 3, abs=0.01)
    page = write_report(run).read_text(encoding="utf-8")
    assert "Masks of the foreground were given. It covers 50 % to 50 %" in page
    assert page.count("the background darkened") == 12
    new = tmp_path / "new"
    new.mkdir()
    Image.fromarray(picture("spot", 77)).save(new / "a.png")
    succeed("predict", run, new, *given)
    assert (run / "predictions" / "new" / "foreground" / "a.png").is_file()
    succeed("predict", run, new, *given)
    assert "foreground" in succeed("data", "check", images_folder, *given)


def test_new_parts_need_what_the_model_was_made_with(
    tiny: Path, images_folder: Path, foreground: Path
) -> None:
    model = AnomalyNCD(2, backbone="tiny", weights=tiny)
    new = [picture("spot", 3)]
    plain = model.fit(images_folder)
    assert plain.foreground_summary_ is None
    with pytest.raises(InputError, match="takes whole images for foreground"):
        plain.predict(new, foreground=foreground)
    masks = foreground.parent / "masks"
    for path in images_folder.rglob("*.png"):
        copy = masks / path.relative_to(images_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(foreground, copy)
    with_masks = model.fit(images_folder, foreground=masks)
    with pytest.raises(InputError, match="give `foreground` for the new images"):
        with_masks.predict(new)
    assert len(with_masks.predict(new, foreground=foreground)) == 1


@pytest.mark.parametrize("what", ["foreground", "ignore"])
def test_one_mask_for_all_images_holds_for_new_ones(
    tiny: Path, images_folder: Path, foreground: Path, tmp_path: Path, what: str
) -> None:
    new = [np.asarray(Image.open(path)) for path in sorted(images_folder.rglob("*.png"))]
    given = {what: foreground}
    model = AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images_folder, **given)
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model", weights=tiny)
    carried, named = loaded.classify(new), loaded.classify(new, **given)
    pd.testing.assert_frame_equal(carried.regions, named.regions)
    np.testing.assert_array_equal(carried.probabilities, named.probabilities)
    nothing = np.zeros(SIZE, bool)
    Image.fromarray(nothing).save(tmp_path / "nothing.png")
    others = loaded.classify(new, **{what: tmp_path / "nothing.png"})
    assert not np.array_equal(carried.probabilities, others.probabilities)


def test_a_line_ignores_what_the_discovery_ignored(
    tiny: Path, images_folder: Path, foreground: Path, tmp_path: Path
) -> None:
    model = AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images_folder, ignore=foreground)
    model.save(tmp_path / "model")
    verdicts = Predictor(tmp_path / "model", weights=tiny).predict_batch(
        sorted(images_folder.rglob("*.png"))
    )
    boxes = [region.box for verdict in verdicts for region in verdict.regions]
    assert boxes
    assert all(left >= SIZE[1] // 2 - 1 for left, *_ in boxes)


@pytest.mark.parametrize("given", ["maps", "masks"])
def test_new_maps_are_ignored_where_those_of_the_discovery_were(
    tiny: Path, images_folder: Path, foreground: Path, tmp_path: Path, given: str
) -> None:
    images = sorted(images_folder.rglob("*.png"))
    for path in images:
        target = tmp_path / given / path.relative_to(images_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        marked = np.zeros(SIZE, np.uint8)
        marked[8:14, 8:14] = 255  # On the side that is ignored.
        marked[20:30, SIZE[1] - 20 : SIZE[1] - 10] = 200 + len(path.name)
        Image.fromarray(marked).save(target)
    model = AnomalyNCD(2, backbone="tiny", weights=tiny)
    model.fit(images_folder, ignore=foreground, **{given: tmp_path / given})
    regions = model.classify(images_folder, **{given: tmp_path / given}).regions
    assert (regions["left"] >= SIZE[1] // 2 - 1).all()


def test_textures_are_told_to_be_some(tiny: Path, images_folder: Path, tmp_path: Path) -> None:
    config = replace(PRESETS["default"], foreground=ForegroundConfig())
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, preset=config)
    discover_run(model, images_folder, tmp_path / "run")
    assert model.foreground_summary_ == ForegroundSummary(
        "none", "texture: no plain background found", 0, 0, None
    )
    assert "foreground" in model.stages_.seconds
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "No plain background was found, as for textures" in page


@pytest.mark.parametrize("found", [True, False])
def test_prior_is_saved_with_the_model(
    found: bool,
    tiny: Path,
    images_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def everywhere(pictures: list) -> PrincipalComponent | None:
        tokens = pictures[0].flatten(1).T.float()
        direction = tokens[0] / tokens[0].norm()
        return (
            PrincipalComponent(tokens.mean(0), direction, 0.0)
            if found
            else fit_principal_component(pictures)
        )

    monkeypatch.setattr(foreground_module, "fit_principal_component", everywhere)
    config = replace(PRESETS["default"], foreground=ForegroundConfig())
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, preset=config).fit(images_folder)
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model").model_.foreground
    assert loaded is not None
    assert (loaded.source, loaded.reason) == (
        model.model_.foreground.source,
        model.model_.foreground.reason,
    )
    assert (loaded.source == "backbone") == found
    new = [picture("spot", 3)]
    for one, name in ((model, "a"), (AnomalyNCD.load(tmp_path / "model"), "b")):
        one.classify(new, folder=tmp_path / name)
    if found:
        assert loaded.component is not None
        assert loaded.component.threshold == model.model_.foreground.component.threshold
        masks = [(tmp_path / name / "foreground" / "000.png").read_bytes() for name in "ab"]
        assert masks[0] == masks[1]


def test_words_are_saved_with_the_model(tiny: Path, images_folder: Path, tmp_path: Path) -> None:
    model = AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images_folder)
    words = Foreground("grounded-sam", "asked for 'nut.'", prompt="nut.")
    model.model_ = replace(model.model_, foreground=words)
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model").model_.foreground
    assert loaded is not None
    assert vars(loaded) == vars(model.model_.foreground)


def test_boxes_may_mark_the_product(tiny: Path, images_folder: Path, foreground: Path) -> None:
    images = ImageSet.from_folder(images_folder)
    boxes = np.array([[0.0, 0, 40, 72]])
    model = AnomalyNCD(2, backbone="tiny", weights=tiny)
    model.fit(images, foreground=Masks(images, (boxes,) * len(images)))
    assert model.foreground_summary_ is not None
    assert model.foreground_summary_.shares == pytest.approx((40 / 96,) * 3, abs=0.02)
