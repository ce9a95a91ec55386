"""What a runner cannot do is refused when a model is exported."""

from pathlib import Path

import pytest

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.export import writing
from anomalyncd.export.writing import export_model
from support.quick import picture


@pytest.fixture(autouse=True)
def _packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_require_packages", lambda kind: None)


def test_a_model_of_given_maps_is_refused(tiny: Path, tmp_path: Path) -> None:
    pictures = [picture(kind, i) for i, kind in enumerate(("spot", "line", "good", "spot"))]
    maps = [one.mean(-1) for one in pictures]
    AnomalyNCD(2, backbone="tiny", weights=tiny).fit(pictures, maps=maps).save(tmp_path / "model")
    with pytest.raises(InputError, match="uses maps or masks that were given"):
        export_model(tmp_path / "model", "onnx", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_odd_formats_and_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="format 'tflite' is unknown; use onnx or openvino"):
        export_model(tmp_path, "tflite", tmp_path / "exported")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(InputError, match="holds something else; export the model into a new"):
        export_model(tmp_path, "onnx", tmp_path / "other")
    with pytest.raises(InputError, match="is a file; export the model into a new folder"):
        export_model(tmp_path, "onnx", tmp_path / "other" / "notes.txt")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(InputError, match="needs onnxscript, which is not installed; pip install"):
        export_model(tmp_path, "onnx", tmp_path / "exported")
