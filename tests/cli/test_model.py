"""The commands about a model: what they show, what they refuse, and a model carried elsewhere."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from anomalyncd import AnomalyNCD, ProtoAnomalyNCD
from anomalyncd.line.predictor import Predictor
from anomalyncd.results.operating_point import OperatingPoint
from anomalyncd.results.run_folder import read_run
from anomalyncd.revision import correct_run, operate_run
from anomalyncd.workflows import discover_run
from support.quick import call, picture, succeed, use_tiny


@pytest.fixture(scope="module")
def discovered(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A corrected run with an operating point; nobody writes into it."""
    folder = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights, precision="fp32")
        discover_run(estimator, images_folder, folder / "run")
        read_run(folder / "run").labels.edit(1, name="dent", severity="major", escape_cost=20)
        correct_run(folder / "run")
        operate_run(folder / "run", OperatingPoint(0.25, 0.1, None))
    return folder / "run"


@pytest.fixture
def run(discovered: Path, tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(discovered, tmp_path / "run"))


def test_show_says_what_a_line_has_to_know(run: Path, tiny: Path) -> None:
    for folder in (run, run / "model"):
        said = succeed("model", "show", folder)
        assert "dent" in said
        assert "major" in said
        assert f"weights of the backbone: {tiny}" in said.replace("\n", "")
        assert "detector: mutual scoring, 12 images, at 96 px" in said
        assert "operating point: NG above a score of 0.2500" in said
        assert "new images need: masks of places to ignore" in said
        assert "model.safetensors: " in said


def test_show_prints_json(run: Path) -> None:
    shown = json.loads(succeed("model", "show", run, "--json"))
    assert [one["name"] for one in shown["classes"]] == ["normal", "dent", "class 2"]
    assert shown["classes"][1]["escape_cost"] == 20
    assert shown["operating_point"]["threshold"] == 0.25
    assert shown["sizes"]["model.json"] > 0


def test_verify_finds_damage(run: Path) -> None:
    assert "is intact: 3 classes, backbone tiny" in succeed("model", "verify", run)
    tensors = run / "model" / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    result = call("model", "verify", run)
    assert result.exit_code != 0
    assert "damaged" in result.output
    assert call("model", "pack", run).exit_code != 0
    assert not (run / "model.zip").exists()


def test_verify_finds_another_backbone(run: Path, tiny: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    other = {name: tensor + torch.ones(()) for name, tensor in load_file(tiny).items()}
    save_file(other, tmp_path / "other.safetensors")
    result = call("model", "verify", run, "--weights", tmp_path / "other.safetensors")
    assert result.exit_code != 0
    assert "not those that the model was made with" in result.output.replace("\n", " ")


def test_a_packed_model_works_elsewhere(run: Path, tiny: Path, tmp_path: Path) -> None:
    expected = Predictor(run).predict(picture("spot", 70))
    out = tmp_path / "carried" / "plates.zip"
    assert str(out) in succeed("model", "pack", run, "--out", out, "--with-weights")
    elsewhere = tmp_path / "elsewhere"
    with zipfile.ZipFile(out) as packed:
        assert packed.testzip() is None
        packed.extractall(elsewhere)
    shutil.rmtree(run)
    moved = tiny.rename(tiny.with_name("moved.safetensors"))
    try:
        assert Predictor(elsewhere).predict(picture("spot", 70)) == expected
        assert "backbone.safetensors in the model" in succeed("model", "show", elsewhere)
        again = tmp_path / "again.zip"
        succeed("model", "pack", elsewhere, "--out", again)
        assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(out).namelist()
    finally:
        moved.rename(tiny)


def test_without_weights_they_are_given(run: Path, tiny: Path, tmp_path: Path) -> None:
    succeed("model", "pack", run)
    with zipfile.ZipFile(run / "model.zip") as packed:
        assert sorted(packed.namelist()) == ["model.json", "model.safetensors"]
        packed.extractall(tmp_path / "elsewhere")
    assert str(tiny) not in (tmp_path / "elsewhere" / "model.json").read_text(encoding="utf-8")
    succeed("model", "verify", tmp_path / "elsewhere", "--weights", tiny)


def test_odd_targets_are_refused(run: Path, tmp_path: Path) -> None:
    result = call("model", "pack", run, "--out", tmp_path / "model.tar")
    assert result.exit_code != 0
    assert "is no .zip file" in result.output.replace("\n", " ")
    assert call("model", "show", tmp_path).exit_code != 0


def test_a_model_of_given_maps_says_so(tiny: Path, tmp_path: Path) -> None:
    pictures = [picture(kind, i) for i, kind in enumerate(("good", "line", "spot", "spot"))]
    model = ProtoAnomalyNCD(2, backbone="tiny", weights=tiny)
    model.fit(pictures, maps=[one.mean(-1) for one in pictures]).save(tmp_path / "model")
    said = succeed("model", "show", tmp_path / "model")
    assert "detector: none; maps were given" in said
    assert "new images need: anomaly maps or masks" in said
    assert "made by: ProtoAnomalyNCD" in said
    assert "operating point: none" in said
