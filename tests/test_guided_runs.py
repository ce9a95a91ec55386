"""A run whose guidance is learned and led by the maps, from fit to report."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.config import Config
from anomalyncd.embedding.augmentation import CropBatch, central_view
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.guidance import region_shares
from anomalyncd.embedding.region_store import trainable
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.pipeline import Pipeline
from anomalyncd.regions.crops import read_crops
from anomalyncd.regions.table import Regions
from anomalyncd.report.pictures import attention_pictures
from anomalyncd.report.report import write_report
from anomalyncd.results.run_folder import read_run
from anomalyncd.workflows import discover_run
from support.pages import Page, can_be_read_aloud
from support.quick import QUICK, damage, picture, run_context, use_tiny

LEARNED = replace(QUICK, encoder=replace(QUICK.encoder, guidance="learned", guided_by="map"))


@pytest.fixture(scope="module")
def learned(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AnomalyNCD, Path]:
    folder = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny(monkeypatch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights, preset=LEARNED)
        discover_run(estimator, images_folder, folder / "run")
    return estimator, folder / "run"


def test_what_guidance_learns_is_reported(learned: tuple[AnomalyNCD, Path]) -> None:
    estimator, run = learned
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))["guidance_factor"]
    assert record["before"] == {"anomaly": 1.0, "product": 0.1, "background": 0.01}
    assert record["after"] == estimator.model_.classifier.encoder.guidance.learnt_factor
    assert record["after"]["product"] != pytest.approx(0.1, rel=1e-4)
    assert record["after"]["background"] == pytest.approx(0.01)  # No patch shows any.
    log = (run / "run.log").read_text(encoding="utf-8")
    assert f"product 0.1 -> {record['after']['product']:.4g}" in log
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Region guidance factor" in page.words
    assert f"{record['after']['product']:.4g}" in page.words


def test_what_guidance_learnt_is_saved(
    learned: tuple[AnomalyNCD, Path], tiny: Path, images_folder: Path
) -> None:
    estimator, run = learned
    loaded = AnomalyNCD.load(run / "model")
    factor = loaded.model_.classifier.encoder.guidance.learnt_factor
    assert factor == estimator.model_.classifier.encoder.guidance.learnt_factor
    again = loaded.classify(images_folder)
    np.testing.assert_allclose(again.features, estimator.predictions_.features, atol=1e-5)


def test_guidance_without_training_says_that_nothing_is_learned(
    tiny: Path, images_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    untrained = replace(LEARNED, training=replace(LEARNED.training, epochs=0))
    estimator = AnomalyNCD(3, backbone="tiny", weights=tiny, preset=untrained).fit(images_folder)
    assert "learns nothing in 0 epochs" in caplog.text
    assert estimator.model_.classifier.encoder.guidance.learnt_factor["product"] == pytest.approx(
        0.1
    )


def test_report_shows_where_attention_goes(learned: tuple[AnomalyNCD, Path]) -> None:
    estimator, run = learned
    opened = read_run(run)
    assert estimator.attention_ is not None
    assert opened.attention is not None
    assert opened.attention.shape == (len(opened.regions), 2, 4, 4)
    np.testing.assert_array_equal(opened.attention, estimator.attention_)
    assert (estimator.attention_.astype(float).sum((2, 3)) < 1).all()  # CLS sees itself.
    rows = list(opened.regions.index[opened.regions["found"]])
    pictures = attention_pictures(opened, rows)
    assert set(pictures) == set(rows)
    assert np.mean([one.after - one.before for one in pictures.values()]) > 0
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "of the attention on the anomaly without" in page.words
    assert can_be_read_aloud(page)
    assert attention_pictures(replace(opened, attention=None), rows) == {}


def test_pictures_show_what_was_read(learned: tuple[AnomalyNCD, Path], images_folder: Path) -> None:
    """Attention to one patch alone falls on the anomaly as far as the mask that was read does."""
    estimator, run = learned
    opened, images = read_run(run), ImageSet.from_folder(images_folder)
    table = opened.regions
    boxes = table[["left", "top", "right", "bottom"]].to_numpy(float)
    index = np.array([images.names.index(name) for name in table["name"]])
    columns = (table[name].to_numpy() for name in ("area", "score", "found"))
    regions = Regions(index, boxes, *columns, estimator.predictions_.masks, opened.counts)
    views = LEARNED.crops
    crops = list(read_crops(images, regions, LEARNED))
    masks = torch.from_numpy(np.stack([crop.mask for crop in crops]))[:, None]
    view = central_view(CropBatch(masks.repeat(1, 3, 1, 1), masks), views)
    expected = region_shares(view.masks, (4, 4))[:, 0].numpy()
    rows = list(table.index)
    shown = np.zeros_like(expected)
    for y, x in np.ndindex(4, 4):
        attention = np.zeros((len(rows), 2, 4, 4), np.float16)
        attention[:, 1, y, x] = 0.5
        pictures = attention_pictures(replace(opened, attention=attention), rows)
        shown[:, y, x] = [pictures[row].after for row in rows]
        assert {pictures[row].before for row in rows} == {0.0}
    assert expected.std() > 0.2
    np.testing.assert_allclose(shown, expected, atol=0.12)


def test_run_without_guidance_shows_no_attention(
    tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    plain = replace(QUICK, encoder=replace(QUICK.encoder, guidance="none"))
    estimator = AnomalyNCD(3, backbone="tiny", weights=tiny, preset=plain)
    discover_run(estimator, images_folder, tmp_path / "run")
    assert estimator.attention_ is None
    assert not (tmp_path / "run" / "attention.npy").exists()
    page = Page(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert "Where the model looks" not in page.words


def test_attention_of_another_run_is_refused(
    learned: tuple[AnomalyNCD, Path], tmp_path: Path
) -> None:
    path = learned[1] / "attention.npy"
    kept = path.read_bytes()
    try:
        for shape in ((1, 2, 4, 4), (len(np.load(path)), 1, 4, 4)):
            np.save(path, np.zeros(shape, np.float16))
            with pytest.raises(InputError, match="do not belong together"):
                read_run(learned[1])
    finally:
        path.write_bytes(kept)


def _read(
    encoder: RegionEncoder, config: Config, folder: Path, boxes: list[int] | None = None
) -> TokenStore:
    """Tokens of four images with a spot each; their maps rise from left to right beside it."""
    encoder = RegionEncoder(encoder.vit, config.resolved().encoder)
    images = ImageSet.from_list([picture("spot", i) for i in range(4)])
    scores = [damage("spot", i) * 1.0 + 0.2 * np.linspace(0, 1, 96) for i in range(4)]
    maps = AnomalyMaps.from_list([one.astype(np.float32) for one in scores], images)
    foreground = Masks(images, (np.array([boxes], np.float64),) * 4) if boxes else None
    inputs = Inputs(images, np.array([[72, 96]] * 4), maps=maps, foreground=foreground)
    return trainable(Pipeline(run_context(encoder, folder, config), inputs).tokens)


def test_maps_lead_only_where_the_settings_say_so(encoder: RegionEncoder, tmp_path: Path) -> None:
    by_mask, by_map = (_read(encoder, one, tmp_path) for one in (QUICK, LEARNED))
    assert not np.allclose(by_mask.shares[:, :, 0], by_map.shares[:, :, 0], atol=1e-3)
    assert by_map.shares[:, :, 0].max() <= 1
    assert by_map.shares[:, :, 0].min() >= 0


def test_objects_leave_background_where_they_are_not(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    everywhere = _read(encoder, QUICK, tmp_path)
    bounded = _read(encoder, QUICK, tmp_path, [0, 0, 48, 72])
    assert everywhere.shares[:, :, 2].max() == 0
    assert 0 < bounded.shares[:, :, 2].mean() < 1
    assert bounded.shares[:, :, 2][bounded.shares[:, :, 0] > 0.99].numel() > 0
    assert bounded.shares[:, :, 2][bounded.shares[:, :, 0] > 0.99].max() < 0.011
