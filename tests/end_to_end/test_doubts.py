"""Doubts stand in the console, in `run.json`, in the report and in the check of data."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.quick import call, picture, succeed


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Plates of which one is there twice."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(8):
        kind = ("good", "spot")[index % 2]
        Image.fromarray(picture(kind, min(index, 6))).save(folder / f"{index}.png")
    Image.fromarray(picture("good", 0)).save(folder / "8.png")
    return folder


SAID = "1 image is a copy of another, pixel for pixel: '8' of '0'."


def test_a_discovery_says_its_stages_and_doubts(
    options: list[str], doubled: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = call("discover", doubled, "--classes", 2, "--out", run, *options)
    assert done.exit_code == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[1].startswith("9 images; ")
    assert any(line.startswith(f"Warning: {SAID}") for line in lines)
    assert any(line.startswith("maps: 9 images, ") for line in lines)
    record = json.loads((run / "run.json").read_text())
    assert record["warnings"][0].startswith(SAID)
    page = (run / "report.html").read_text()
    assert page.index("1 image is a copy") < page.index('<h2 id="kinds"')

    predicted = call("predict", run, doubled)
    assert f"Warning: {SAID}" in predicted.stderr
    assert "maps: 9 images, " in predicted.stderr
    assert f"Warning: {SAID}" in call("data", "check", doubled).stdout
    assert f"Warning: {SAID}" in succeed("maps", doubled, "--out", tmp_path / "maps", *options)


def test_maps_are_inspected_before_the_work(
    options: list[str], doubled: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    maps = tmp_path / "maps"
    maps.mkdir()
    for index in range(9):
        scores = rng.uniform(0, 0.2, (72, 96))
        scores[10:40, 10:40] = 1
        np.save(maps / f"{index}.npy", scores)
    said = "9 of 9 maps have the same maximum, 1. "
    assert said in succeed("data", "check", doubled, "--maps", maps)
    run = tmp_path / "run"
    done = call("discover", doubled, "--maps", maps, "--classes", 2, "--out", run, *options)
    lines = done.stderr.splitlines()
    stages = [line.split(":")[0] for line in lines]
    assert stages.index("regions") < stages.index("tokens")
    before = lines[: stages.index("tokens")]
    assert any(line.startswith(f"Warning: {said}") for line in before)
    warnings = json.loads((run / "run.json").read_text())["warnings"]
    assert any(text.startswith(said) for text in warnings)

    for index in range(9):
        np.save(maps / f"{index}.npy", np.full((72, 96), index / 9))
    for command in (("data", "check"), ("discover", "--classes", 2, *options)):
        refused = call(*command, doubled, "--maps", maps)
        assert refused.exit_code == 2
        assert "on every other map, so that nothing can be found" in refused.stderr
        assert "leave --maps out" in refused.stderr
