"""The programs of the guide run."""

import json
import re
import runpy
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
import yaml

from anomalyncd.cli import main as cli
from support.line import TOKEN, FakePredictor, picture, served, service_of, verdict_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_camera_loop_ejects_what_is_not_good() -> None:
    class Predictor:
        def predict(self, image: np.ndarray, name: str) -> object:
            return verdict_of(name, "normal" if image.max() == 0 else "unseen")

    ejected: list[None] = []
    loop = runpy.run_path(str(EXAMPLES / "camera_loop.py"))["run"]
    images = (np.full((4, 4, 3), value, np.uint8) for value in (0, 9, 0))
    loop(Predictor(), images, lambda: ejected.append(None))
    assert len(ejected) == 1


def test_client_sends_an_image(tmp_path: Path) -> None:
    classify = runpy.run_path(str(EXAMPLES / "rest_client.py"))["classify"]
    (tmp_path / "1.png").write_bytes(picture(150))
    (tmp_path / "2.png").write_bytes(b"")
    with served(service_of(FakePredictor())) as address:
        good = classify(address, tmp_path / "1.png", TOKEN)
        broken = classify(address, tmp_path / "2.png", TOKEN)
        refused = classify(address, tmp_path / "1.png", "wrong")
    assert good["verdict"]["decision"] == "unseen"
    assert "the file is empty" in broken["error"]
    assert "token" in refused["error"]


def test_triton_gets_verdicts_and_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    class Given:
        def __init__(self, image: bytes) -> None:
            self.image = image

        def as_numpy(self) -> np.ndarray:
            return np.array([self.image], np.object_)

    triton = SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: request[name],
        Tensor=lambda name, values: (name, json.loads(values.item())),
        TritonError=str,
        InferenceResponse=lambda outputs, error=None: error or outputs,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton)
    monkeypatch.setattr("anomalyncd.Runner", lambda folder: FakePredictor(), raising=False)
    model = runpy.run_path(str(EXAMPLES / "triton/anomalyncd/1/model.py"))["TritonPythonModel"]()
    model.initialize({})
    good, broken = model.execute([{"IMAGE": Given(picture(150))}, {"IMAGE": Given(b"")}])
    assert good[0][0] == "VERDICT"
    assert good[0][1]["decision"] == "unseen"
    assert broken == "image 'image' cannot be read (it is empty); send it again"


@pytest.mark.parametrize("name", ["camera_loop.py", "rest_client.py"])
def test_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 50


def test_containers_run_commands_that_exist_on_folders_that_they_are_given() -> None:
    content = yaml.safe_load((EXAMPLES / "compose.yaml").read_text(encoding="utf-8"))
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    assert set(content["services"]) == {"serve", "watch"}
    for service in content["services"].values():
        name, *arguments = service["command"]
        known = {option for one in commands[name].params for option in one.opts}
        assert {one for one in arguments if one.startswith("--")} <= known
        given = {volume.split(":")[1] for volume in service["volumes"]}
        assert {one for one in arguments if one.startswith("/")} == given


def test_images_of_containers_install_the_extras() -> None:
    dockerfile = (EXAMPLES.parent / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', dockerfile)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
    assert "serve" in extras
