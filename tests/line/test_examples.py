"""The programs of the guide run."""

import runpy
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize("name", ["camera_loop.py", "rest_client.py"])
def test_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 50
