"""The estimator with a tiny backbone: inputs of every kind, repeatability, degenerate cases."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from anomalyncd import (
    PRESETS,
    PROTO_PRESETS,
    UNSEEN,
    UNSURE,
    AnomalyNCD,
    ImageSet,
    InputError,
    ProtoAnomalyNCD,
    ReliabilityConfig,
)
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.discovery import discover
from anomalyncd.discovery.training import train
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.io.cache import CACHE_VARIABLE, LIMIT_VARIABLE
from anomalyncd.pipeline import STAGES
from support.quick import QUICK, UNTRAINED, damage, picture, write_base_set

Build = Callable[..., AnomalyNCD]
KINDS = ["good"] * 4 + ["line"] * 4 + ["spot"] * 4


@pytest.fixture
def build(tiny: Path) -> Build:
    def estimator(n_classes: Any = 3, **options: Any) -> AnomalyNCD:
        return AnomalyNCD(n_classes, backbone="tiny", weights=tiny, **options)

    return estimator


def pictures() -> list[np.ndarray]:
    return [picture(kind, 10 * (i // 4) + i % 4) for i, kind in enumerate(KINDS)]


def drawn_maps() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = [damage(kind, 10 * (i // 4) + i % 4) for i, kind in enumerate(KINDS)]
    return [one + rng.random(one.shape, np.float32) * 0.1 for one in drawn]


def test_tables_agree_with_each_other(build: Build, images_folder: Path) -> None:
    model = build().fit(images_folder)
    images, regions = model.predictions_.images, model.predictions_.regions
    assert list(images["name"]) == list(ImageSet.from_folder(images_folder).names)
    assert np.array_equal(model.labels_, images[["p_0", "p_1", "p_2"]].to_numpy().argmax(1))
    assert images[["p_0", "p_1", "p_2"]].to_numpy().sum(1) == pytest.approx(1)
    assert model.predictions_.features.shape[0] == len(regions) >= len(images)
    assert model.predictions_.classes["n_images"].sum() == 12
    assert images["n_regions"].sum() == regions["found"].sum()
    measured = list(model.stages_.seconds)
    assert {"check", "maps", "discovery"} <= {*measured} <= {"check", *STAGES}
    assert measured == sorted(measured, key=["check", *STAGES].index)


def test_same_seed_same_verdicts(build: Build, images_folder: Path) -> None:
    first, second = build().fit(images_folder), build().fit(images_folder)
    other = build(random_state=1).fit(images_folder)
    assert np.array_equal(first.predictions_.probabilities, second.predictions_.probabilities)
    assert not np.array_equal(first.predictions_.features, other.predictions_.features)


def test_arrays_in_memory_count_as_their_files(build: Build, images_folder: Path) -> None:
    from_files = build().fit(images_folder).predictions_
    from_memory = build().fit(pictures()).predictions_
    assert np.array_equal(from_files.probabilities, from_memory.probabilities)
    assert list(from_memory.images["name"])[:2] == ["000", "001"]


def test_paths_below_a_folder_called_test_are_parts_like_others(
    build: Build, images_folder: Path, tmp_path: Path
) -> None:
    paths = []
    for index, file in enumerate(sorted(images_folder.rglob("*.png"))):
        path = tmp_path / ("test" if index % 2 else "more") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.read_bytes())
        paths.append(path)
    assert len(build().fit_predict(paths)) == 12


def test_maps_as_arrays_dictionary_and_folder_agree(build: Build, tmp_path: Path) -> None:
    images = ImageSet.from_list(pictures())
    maps = drawn_maps()
    for name, one in zip(images.names, maps, strict=True):
        np.save(tmp_path / f"{name}.npy", one)
    listed = build().fit(images, maps=maps).predictions_.probabilities
    named = build().fit(images, maps=dict(zip(images.names, maps, strict=True)))
    assert np.array_equal(listed, named.predictions_.probabilities)
    stored = build().fit(images, maps=tmp_path)
    assert np.array_equal(listed, stored.predictions_.probabilities)
    assert "maps" not in stored.stages_.seconds


def test_marked_defects_are_the_regions(build: Build, tmp_path: Path) -> None:
    images = ImageSet.from_list(pictures())
    for index, kind in enumerate(KINDS):
        if kind != "good":
            mask = damage(kind, 10 * (index // 4) + index % 4)
            Image.fromarray(mask).save(tmp_path / f"{index:03}_mask.png")
    model = build().fit(images, masks=tmp_path)
    assert list(model.predictions_.images["n_regions"]) == [0] * 4 + [1] * 8
    assert list(model.predictions_.images["score"]) == [0] * 4 + [1] * 8
    with pytest.raises(InputError, match="give the `masks` of the new images"):
        model.predict(images)
    again = model.classify(images, masks=tmp_path).images
    assert np.array_equal(again["class"], model.labels_)
    assert not again["unseen"][:4].any()


def test_base_set_takes_part(
    build: Build, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_base_set(tmp_path / "base")
    alone = build().fit(images_folder)
    helped = build().fit(images_folder, base=tmp_path / "base")
    assert helped.predictions_.probabilities.shape[1] == 3
    assert not np.array_equal(alone.predictions_.features, helped.predictions_.features)
    # It was read once; what is missing cannot be called.
    monkeypatch.delattr("anomalyncd.embedding.base_regions.fill_store")
    again = build().fit(images_folder, base=tmp_path / "base")
    assert np.array_equal(helped.predictions_.probabilities, again.predictions_.probabilities)


def test_normal_images_fill_a_memory_bank(build: Build, images_folder: Path) -> None:
    normals = [picture("good", 70 + index) for index in range(3)]
    model = build().fit(images_folder, normals=normals)
    assert isinstance(model.model_.detector, MemoryBank)
    assert set(model.model_.detector.names) == {"normals/000", "normals/001", "normals/002"}
    assert model.predict([picture("spot", 5)]).shape == (1,)


def test_normals_can_be_added_to_a_saved_model(
    build: Build, images_folder: Path, tmp_path: Path
) -> None:
    normals = [picture("good", 70 + index) for index in range(3)]
    model = build().fit(images_folder, normals=normals)
    model.save(tmp_path / "model")
    odd = picture("spot", 5)
    assert model.classify([odd]).images["score"][0] > 0.3
    loaded = AnomalyNCD.load(tmp_path / "model", weights=model.weights)
    assert loaded.add_normals([odd]) is loaded
    loaded.save(tmp_path / "model")
    more = AnomalyNCD.load(tmp_path / "model", weights=model.weights)
    assert more.model_.detector is not None
    assert len(set(more.model_.detector.names)) == 4
    assert more.model_.score_range == model.model_.score_range
    assert more.classify([odd]).images["score"][0] == 0


def test_a_prediction_without_room_is_refused(
    build: Build, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build().fit(images_folder)
    monkeypatch.setattr("anomalyncd.cost.free_disk_gb", lambda folder: 1e-9)
    with pytest.raises(InputError, match="free some space there"):
        model.classify([picture("spot", 5)])


def test_normals_need_a_memory_bank_and_readable_images(
    build: Build, images_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFittedError):
        build().add_normals(images_folder)
    with pytest.raises(InputError, match="made without normal images, so it has no memory bank"):
        build().fit(images_folder).add_normals(images_folder)
    given = build().fit(pictures(), maps=drawn_maps())
    with pytest.raises(InputError, match="made from given maps or masks, so it has no memory bank"):
        given.add_normals(images_folder)
    model = build().fit(images_folder, normals=[picture("good", 70)])
    bank = model.model_.detector
    (tmp_path / "torn.png").write_bytes(b"torn")
    with pytest.raises(InputError, match="torn"):
        model.add_normals(tmp_path)
    assert model.model_.detector is bank


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_predict_repeats_fit_on_the_same_parts(
    build: Build, images_folder: Path, precision: str
) -> None:
    model = build(precision=precision).fit(images_folder)
    again = model.classify(images_folder)
    assert np.array_equal(again.images["class"], model.labels_)
    np.testing.assert_allclose(again.probabilities, model.predictions_.probabilities, atol=1e-6)


def test_one_new_part_is_enough_to_predict(build: Build, images_folder: Path) -> None:
    model = build().fit(images_folder)
    one = model.classify([picture("line", 55)])
    assert len(one.images) == 1
    assert one.images["class"][0] in range(3)
    with pytest.raises(InputError, match="makes its own maps"):
        model.predict([picture("line", 55)], maps=[np.zeros((72, 96))])


def test_predict_says_unseen_and_unsure_where_it_is_set(build: Build) -> None:
    maps = drawn_maps()
    strict = replace(QUICK, reliability=ReliabilityConfig(share=0.0, least_confidence=1.0))
    model = build(preset=strict).fit(pictures(), maps=maps)
    assert set(model.labels_) <= {0, 1, 2}
    images = model.classify(pictures(), maps=maps).images
    expected = np.where(images["confidence"] < 1, UNSURE, images["class"])
    assert UNSURE in expected
    assert np.array_equal(model.predict(pictures(), maps=maps), expected)
    odd = pictures()[0]
    odd[:40, :60] = (255, 0, 255)
    marked = np.zeros(odd.shape[:2])
    marked[:40, :60] = 1
    model = build(preset=QUICK).fit(pictures(), maps=maps)
    assert model.predict([odd], maps=[marked]).tolist() == [UNSEEN]
    easy = replace(QUICK, reliability=ReliabilityConfig(share=0.0, least_confidence=0.0))
    model.set_params(preset=easy)
    assert model.predict([odd], maps=[marked])[0] in (0, 1, 2)


def test_scikit_learn_conventions(build: Build, images_folder: Path) -> None:
    model = build(preset=QUICK, random_state=3)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(n_classes=2).n_classes == 2
    assert np.array_equal(model.fit_predict(images_folder), model.labels_)
    assert model.labels_.dtype == np.int64
    with pytest.raises(NotFittedError):
        copy.predict(images_folder)
    with pytest.raises(NotFittedError):
        copy.save(images_folder / "never")


def test_proto_differs_from_anomalyncd_in_its_presets_alone(tiny: Path) -> None:
    proto = ProtoAnomalyNCD(3, backbone="tiny", weights=tiny, random_state=3)
    copy = clone(proto)
    assert type(copy) is ProtoAnomalyNCD
    assert copy.get_params() == proto.get_params()
    assert proto.get_params() == AnomalyNCD(**proto.get_params()).get_params()
    assert proto.config() == PROTO_PRESETS["default"] != PRESETS["default"]
    assert proto.set_params(preset=QUICK).config() is QUICK
    with pytest.raises(InputError, match="use one of default, paper"):
        proto.set_params(preset="papre").fit([])


def test_losses_of_prototypes_learn_from_a_base_set(
    build: Build, images_folder: Path, tmp_path: Path
) -> None:
    write_base_set(tmp_path / "base")
    training = replace(PROTO_PRESETS["paper"].training, epochs=2, batch_size=8)
    told = replace(QUICK, training=replace(training, entropy_prior="start", n_heads=2))
    model = build(preset=told).fit(images_folder, base=tmp_path / "base")
    assert model.predictions_.probabilities.shape[1] == 3
    assert np.isfinite(model.predictions_.probabilities).all()


def test_parts_all_alike_fall_into_one_class(build: Build) -> None:
    labels = build().fit_predict([picture("good", 0)] * 4)
    assert len(set(labels)) == 1


def test_blank_parts_are_survived(build: Build) -> None:
    labels = build().fit_predict([np.zeros((40, 40), np.uint8)] * 3)
    assert len(set(labels)) == 1


def test_two_parts_two_classes(build: Build) -> None:
    labels = build(2).fit_predict([picture("good", 0), picture("spot", 1)])
    assert labels.shape == (2,)


def test_as_many_classes_as_parts(build: Build) -> None:
    kinds = ("good", "line", "spot", "spot")
    model = build(4).fit([picture(kind, i) for i, kind in enumerate(kinds)])
    assert len(model.predictions_.classes) == 4


def test_class_of_one_member(build: Build, tiny: Path) -> None:
    images = [picture("good", i) for i in range(6)] + [picture("spot", 9)]
    maps = [np.zeros((72, 96)) for _ in range(6)] + [damage("spot", 9).astype(float)]
    model = build(2).fit(images, maps=maps)
    assert model.predictions_.images["n_regions"].tolist() == [0] * 6 + [1]


@pytest.mark.parametrize("level", [0.0, 3.5])
def test_maps_without_any_difference_are_refused(build: Build, level: float) -> None:
    with pytest.raises(InputError, match="so that nothing can be found"):
        build(2).fit(pictures(), maps=[np.full((72, 96), level)] * 12)


@pytest.mark.parametrize(
    ("n_classes", "n_images", "message"),
    [
        (None, 12, "n_classes=None cannot be used"),
        ("many", 12, "or 'auto' to have the number estimated"),
        (True, 12, "n_classes=True cannot be used"),
        (2.5, 12, "n_classes=2.5 cannot be used"),
        ("auto", 1, "1 image cannot be sorted into 2 classes; give more images$"),
        (1, 12, "give 2 or more"),
        (5, 4, "4 images cannot be sorted into 5 classes"),
    ],
)
def test_unusable_numbers_of_classes(
    build: Build, n_classes: Any, n_images: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(n_classes).fit(pictures()[:n_images])


def test_one_line_scan_may_show_more_kinds_than_there_are_images(build: Build) -> None:
    scan = np.full((2400, 300, 3), 120, np.uint8)
    maps = np.zeros((2400, 300), np.float32)
    for number, top in enumerate(range(100, 2300, 300)):
        colour = ((255, 40, 40), (40, 40, 255))[number % 2]
        scan[top : top + 40, 120:160] = colour
        maps[top : top + 40, 120:160] = 1
    model = build(3).fit([scan], maps=[maps])
    regions = model.predictions_.regions
    assert regions["found"].sum() == 8
    kinds = regions.loc[regions["found"]].sort_values("top")["class"].tolist()
    assert kinds == kinds[:2] * 4
    assert kinds[0] != kinds[1]


def test_number_of_classes_is_estimated(build: Build, tmp_path: Path) -> None:
    kinds = ["good"] * 6 + ["line"] * 15 + ["spot"] * 15
    images = [picture(kind, seed) for seed, kind in enumerate(kinds)]
    maps = [damage(kind, seed).astype(float) for seed, kind in enumerate(kinds)]
    counted = build("auto").estimate_n_classes(images, maps=maps)
    model = build("auto").fit(images, maps=maps)
    assert model.class_number_ == counted
    assert model.n_classes_ == counted.estimate == len(model.predictions_.classes)
    assert counted.low <= counted.estimate <= counted.high
    assert counted.grid[0] == 3
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model")
    assert loaded.n_classes_ == counted.estimate
    given = build(2).fit(images, maps=maps)
    assert (given.n_classes_, given.class_number_) == (2, None)


def test_estimated_number_with_a_base_set(build: Build, tmp_path: Path) -> None:
    for seed in range(12):
        kind = ("line", "spot")[seed % 2]
        for folder, pixels in (("test", picture(kind, seed)), ("ground_truth", damage(kind, seed))):
            path = tmp_path / folder / kind / f"{seed:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    kinds = ["line"] * 15 + ["spot"] * 15
    images = [picture(kind, seed) for seed, kind in enumerate(kinds)]
    maps = [damage(kind, seed).astype(float) for seed, kind in enumerate(kinds)]
    counted = build("auto").estimate_n_classes(images, maps=maps, base=tmp_path)
    assert {"labelled accuracy", "prototype score"} < counted.criteria.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "auto or bf16 or fp32"),
        ({"device": "abacus"}, "use auto or cpu"),
        ({"preset": "best"}, "default, paper"),
        ({"backbone": "resnet"}, "resnet"),
        ({"devices": 0, "preset": QUICK}, "devices=0 cannot be used; give 1 or more"),
        ({"devices": 1000, "preset": QUICK}, "devices=1000 cannot be used.* processor"),
        ({"devices": 2, "preset": UNTRAINED}, "devices=2 needs training.*`engine` ray"),
    ],
)
def test_unusable_options(
    tiny: Path,
    images_folder: Path,
    options: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    arguments: dict[str, Any] = {"backbone": "tiny", "weights": tiny} | options
    with pytest.raises(InputError, match=message):
        AnomalyNCD(2, **arguments).fit(images_folder)


def test_devices_train_together_and_a_model_needs_one(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    trained = []

    def noted(*arguments: Any) -> torch.Tensor:
        trained.append(arguments[-1].devices)
        return train(*arguments[:-1], arguments[-1].seed)

    monkeypatch.setattr(discover, "train_in_processes", noted)
    build(devices=2).fit(pictures(), maps=drawn_maps()).save(tmp_path / "model")
    assert trained == [2]
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    loaded = AnomalyNCD.load(tmp_path / "model", weights=build().weights)
    assert len(loaded.predict(pictures()[:2], maps=drawn_maps()[:2])) == 2


def test_full_memory_stops_a_prediction_in_one_sentence(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build().fit(pictures(), maps=drawn_maps())

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    monkeypatch.setattr(RegionEncoder, "frozen_features", full)
    with pytest.raises(InputError, match=r"full in the stage prediction; .*use the device cpu"):
        model.predict(pictures()[:2], maps=drawn_maps()[:2])


def test_maps_and_masks_exclude_each_other(build: Build, images_folder: Path) -> None:
    with pytest.raises(InputError, match="several of `maps`, `masks` and `boxes`"):
        build().fit(images_folder, maps=images_folder, masks=images_folder)
    with pytest.raises(InputError, match="need maps of their own"):
        build().fit(images_folder, maps=images_folder, normals=images_folder)


def test_limit_of_the_cache_is_checked_first(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "plenty")
    with pytest.raises(InputError, match=f"{LIMIT_VARIABLE}='plenty' cannot be used"):
        build().fit("nowhere")


def test_run_does_without_a_cache_that_cannot_be_written(
    build: Build,
    images_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = build().fit(images_folder)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    model = build().fit(images_folder)
    assert np.array_equal(model.predictions_.probabilities, expected.predictions_.probabilities)
    assert any("nothing more is cached" in message for message in caplog.messages)


def test_a_base_set_changes_descriptors_without_training(
    build: Build, tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    write_base_set(tmp_path / "base")
    model = build(preset=UNTRAINED, precision="fp32")
    frozen = load_backbone("tiny", tiny).blocks[QUICK.encoder.readout].mlp.fc1.weight
    alone = model.fit(images_folder).predictions_.features
    with_base = model.fit(images_folder, base=tmp_path / "base").predictions_.features
    assert not np.allclose(with_base, alone)
    block = model.model_.classifier.encoder.vit.blocks[QUICK.encoder.readout]
    assert torch.equal(block.mlp.fc1.weight, frozen)
