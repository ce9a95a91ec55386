"""A model that was saved predicts as before, and one that cannot be used says why."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load, load_file, save_file

from anomalyncd import (
    PRESETS,
    AnomalyNCD,
    InputError,
    ProtoAnomalyNCD,
)
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.results.model_file import FORMAT, sealed
from anomalyncd.results.model_summary import summarise_model
from support.quick import QUICK, TINY, damage, picture

NEW = [picture(kind, 40 + i) for i, kind in enumerate(("good", "line", "spot", "spot"))]


@pytest.fixture
def fitted(tiny: Path, images_folder: Path) -> AnomalyNCD:
    return AnomalyNCD(3, backbone="tiny", weights=tiny).fit(images_folder)


def _change(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(sealed(json.loads(path.read_text(encoding="utf-8")) | values)))


def test_a_changed_number_is_noticed(fitted: AnomalyNCD, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["components"]["score_range"]["low"] += 0.001
    path.write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"model\.json' is damaged .*; copy the model again"):
        AnomalyNCD.load(tmp_path / "model")
    del description["digest"]  # As models of versions that wrote none.
    path.write_text(json.dumps(description))
    AnomalyNCD.load(tmp_path / "model")


def test_loaded_model_predicts_the_same(fitted: AnomalyNCD, tmp_path: Path) -> None:
    before = fitted.classify(NEW)
    fitted.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model")
    after = loaded.classify(NEW)
    assert np.array_equal(before.probabilities, after.probabilities)
    assert np.array_equal(before.features, after.features)
    assert before.masks == after.masks
    pd.testing.assert_frame_equal(before.images, after.images)
    assert loaded.model_.reliability.novelty_detector is not None
    assert fitted.model_.reliability.novelty_detector is not None
    for name, array in vars(fitted.model_.reliability.novelty_detector).items():
        assert np.array_equal(array, getattr(loaded.model_.reliability.novelty_detector, name)), (
            name
        )
    assert loaded.get_params() == fitted.get_params() | {"weights": str(fitted.weights)}
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_a_model_comes_back_as_the_estimator_it_was(
    fitted: AnomalyNCD, tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    proto = ProtoAnomalyNCD(3, backbone="tiny", weights=tiny).fit(images_folder)
    proto.save(tmp_path / "proto")
    for loader in (AnomalyNCD, ProtoAnomalyNCD):
        loaded = loader.load(tmp_path / "proto")
        assert type(loaded) is ProtoAnomalyNCD
        assert loaded.preset == "default"
        assert loaded.config() == proto.config() != fitted.config()
        assert np.array_equal(loaded.classify(NEW).probabilities, proto.classify(NEW).probabilities)
    fitted.save(tmp_path / "plain")
    assert type(AnomalyNCD.load(tmp_path / "plain")) is AnomalyNCD
    with pytest.raises(InputError, match=r"of AnomalyNCD, not of .*; use AnomalyNCD\.load"):
        ProtoAnomalyNCD.load(tmp_path / "plain")


@pytest.mark.parametrize("given", ["maps", "skewed", "masks", "paper"])
def test_other_kinds_of_models_survive(
    given: str, tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    pictures = [picture("spot", i) for i in range(4)]
    maps = [damage("spot", i) * 7.5 for i in range(4)]
    if given == "skewed":
        maps[2] = maps[2] * 1e4
    preset = replace(QUICK, mebin=PRESETS["paper"].mebin) if given == "paper" else "default"
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, preset=preset, precision="fp32")
    inputs: dict[str, object] = {"maps": maps}
    if given == "masks":
        for index, one in enumerate(maps):
            Image.fromarray(one > 0).save(tmp_path / f"{index:03}.png")
        inputs = {"masks": tmp_path}
    model.fit(pictures, **inputs).save(tmp_path / "out" / "model")
    loaded = AnomalyNCD.load(tmp_path / "out" / "model")
    assert loaded.model_.score_range == model.model_.score_range
    if given == "skewed":
        assert loaded.model_.score_range is not None
        assert loaded.model_.score_range.calibration is not None
    assert loaded.preset == model.preset
    after = loaded.classify(pictures, **inputs)
    assert np.array_equal(after.probabilities, model.classify(pictures, **inputs).probabilities)


def test_infinite_settings_survive(tiny: Path, images_folder: Path, tmp_path: Path) -> None:
    views = replace(QUICK.crops, memory_limit_gb=math.inf)
    model = AnomalyNCD(
        np.int64(2), backbone="tiny", weights=tiny, preset=replace(QUICK, crops=views)
    ).fit(images_folder)
    model.save(tmp_path / "model")
    text = (tmp_path / "model" / "model.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert AnomalyNCD.load(tmp_path / "model").preset.crops.memory_limit_gb == math.inf


def test_preset_that_changed_since_keeps_its_old_meaning(
    fitted: AnomalyNCD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.save(tmp_path / "model")
    changed = replace(QUICK, training=replace(QUICK.training, epochs=7))
    monkeypatch.setitem(PRESETS, "default", changed)
    assert AnomalyNCD.load(tmp_path / "model").preset == QUICK


def test_saving_again_replaces_a_model_but_nothing_else(fitted: AnomalyNCD, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    AnomalyNCD.load(tmp_path / "model").save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["model"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"):
        fitted.save(tmp_path / "mine")
    with pytest.raises(InputError, match="is a file"):
        fitted.save(tmp_path / "mine" / "thesis.tex")


def test_failed_save_keeps_the_old_model(
    fitted: AnomalyNCD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.save(tmp_path / "model")
    before = (tmp_path / "model" / "model.json").read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anomalyncd.results.model_file.write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted.save(tmp_path / "model")
    assert (tmp_path / "model" / "model.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["model"]


def test_weights_are_looked_for_elsewhere_and_checked(
    fitted: AnomalyNCD, tiny: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(tiny.read_bytes())
    fitted.weights = tmp_path / "gone.safetensors"
    fitted.save(tmp_path / "model")
    with pytest.raises(InputError, match=r"gone\.safetensors"):
        AnomalyNCD.load(tmp_path / "model")
    assert AnomalyNCD.load(tmp_path / "model", weights=mine, device="cpu").device == "cpu"
    save_file(VisionTransformer(TINY).state_dict(), mine)
    with pytest.raises(InputError, match="not those that the model was made with"):
        AnomalyNCD.load(tmp_path / "model", weights=mine)


def test_unusable_models_say_why(fitted: AnomalyNCD, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(InputError, match="does not exist"):
        AnomalyNCD.load(folder)
    fitted.save(folder)
    tensors, text = folder / "model.safetensors", folder / "model.json"
    whole, description = tensors.read_bytes(), text.read_text(encoding="utf-8")
    assert not any("projection" in name for name in load_file(tensors))
    tensors.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"model\.safetensors' is damaged"):
        AnomalyNCD.load(folder)
    save_file({name: -value for name, value in load(whole).items()}, tensors)
    with pytest.raises(InputError, match="not the one that was saved"):
        AnomalyNCD.load(folder)
    tensors.unlink()
    with pytest.raises(InputError, match=r"lacks the file model\.safetensors"):
        AnomalyNCD.load(folder)
    tensors.write_bytes(whole)
    for damaged in ("{", "[]", f'{{"format": {FORMAT}}}'):
        text.write_text(damaged, encoding="utf-8")
        with pytest.raises(InputError, match="is damaged"):
            AnomalyNCD.load(folder)
    text.write_text(description, encoding="utf-8")
    components = json.loads(description)["components"]
    other = {"classifier": components["classifier"] | {"n_classes": 4}}
    _change(folder, components=components | other)
    with pytest.raises(InputError, match="do not fit the saved config"):
        AnomalyNCD.load(folder)
    _change(folder, components=components, estimator="Other")
    with pytest.raises(InputError, match="is one of Other"):
        AnomalyNCD.load(folder)
    _change(folder, config={"detector": {"colour": 1}})
    with pytest.raises(InputError, match=r"saved by another version .*fit the model again"):
        AnomalyNCD.load(folder)
    _change(folder, format=99, anomalyncd="0.1")
    told = rf"format 99, this version reads {FORMAT}; use anomalyncd 0\.1"
    with pytest.raises(InputError, match=told):
        AnomalyNCD.load(folder)
    text.unlink()
    with pytest.raises(InputError, match=r"lacks the file model\.json"):
        AnomalyNCD.load(folder)


DAMAGES = [
    (("components", "detector", "kind"), "x"),
    (("components", "classifier"), None),
    (("components", "classifier", "n_classes"), 10**12),
    (("components", "classifier", "n_classes"), "3"),
    (("components", "classifier", "n_rotations"), 0),
    (("components", "operation"), [1]),
    (("components", "reliability"), {}),
    (("parameters",), {}),
    (("parameters", "weights"), [1]),
]


@pytest.mark.timeout(120)
def test_damaged_components_are_named_by_all_who_read_a_model(
    fitted: AnomalyNCD, tmp_path: Path
) -> None:
    """Found by fuzzing: the summary raised what a component raised."""
    folder = tmp_path / "model"
    fitted.save(folder)
    whole = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert summarise_model(folder).estimator == "AnomalyNCD"
    for path, value in DAMAGES:
        changed = json.loads(json.dumps(whole))
        inner = changed
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        (folder / "model.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(InputError, match="damaged"):
            AnomalyNCD.load(folder)
        if path != ("components", "reliability"):  # The summary does not need it.
            with pytest.raises(InputError, match="damaged"):
                summarise_model(folder)
