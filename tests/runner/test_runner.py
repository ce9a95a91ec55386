"""A runner gives the verdicts of the predictor, without PyTorch, and refuses damaged folders."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anomalyncd import InputError, Predictor, Runner
from anomalyncd.line.verdict import Verdict
from anomalyncd.runner.folder import ARRAYS, DESCRIPTION
from support.quick import QUICK, SIZE, UNTRAINED, succeed

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import json
from anomalyncd import Runner

runner = Runner(sys.argv[2])
print(json.dumps([runner.predict(path).to_dict() for path in sys.argv[3:]]))
"""
UNNEEDED = "torch,kornia,lightning_fabric,huggingface_hub,onnx,onnxscript,sklearn"


def assert_same(found: Verdict, expected: Verdict) -> None:
    assert (found.name, found.width, found.height) == (
        expected.name,
        expected.width,
        expected.height,
    )
    assert found.ok == expected.ok
    assert found.score == pytest.approx(expected.score, abs=1e-3)
    probability = {one.id: one.probability for one in expected.classes}
    assert {one.id: one.probability for one in found.classes} == pytest.approx(
        probability, abs=1e-3
    )
    best, second = sorted(probability.values())[-1:-3:-1]
    if best - second > 1e-3:
        assert (found.class_id, found.decision) == (expected.class_id, expected.decision)
    assert [one.box for one in found.regions] == [one.box for one in expected.regions]


@pytest.fixture
def predictor(exported: Any, tiny: Path) -> Predictor:
    return Predictor(exported.model)


def test_verdicts_are_those_of_the_predictor(
    exported: Any, predictor: Predictor, new: list[Path]
) -> None:
    runner = Runner(exported.folder)
    assert runner.classes == predictor.classes
    assert runner.threshold == predictor.threshold
    for path in new:
        assert_same(runner.predict(path), predictor.predict(path))
    # An image of the discovery, by its name there, is not compared with itself.
    assert_same(runner.predict(new[0], "good/000"), predictor.predict(new[0], "good/000"))


@pytest.mark.parametrize(
    "config",
    [
        UNTRAINED,
        replace(UNTRAINED, detector=replace(QUICK.detector, tile=40, neighbourhoods=(1, 3))),
        replace(UNTRAINED, encoder=replace(QUICK.encoder, guided_by="map", n_rotations=1)),
    ],
    ids=["rotations", "tiles", "guided by maps"],
)
def test_settings_reach_the_runner(
    config: Any, export_tiny: Callable[..., Any], tiny: Path, new: list[Path]
) -> None:
    exported = export_tiny(config)
    runner, predictor = Runner(exported.folder, threads=1), Predictor(exported.model)
    for path in new[:3]:
        assert_same(runner.predict(path), predictor.predict(path))


def test_memory_bank_and_openvino(
    export_tiny: Callable[..., Any],
    images_folder: Path,
    tiny: Path,
    new: list[Path],
    tmp_path: Path,
) -> None:
    pytest.importorskip("openvino")
    left = np.zeros(SIZE, np.uint8)
    left[:, : SIZE[1] // 2] = 255
    Image.fromarray(left).save(tmp_path / "ignored.png")
    given = {"normals": images_folder / "good", "ignore": tmp_path / "ignored.png"}
    exported = export_tiny(UNTRAINED, "openvino", **given)
    runner, predictor = Runner(exported.folder), Predictor(exported.model)
    assert runner.fit_counts == predictor.fit_counts
    found = []
    for path in new:
        found.append(runner.predict(path))
        assert_same(found[-1], predictor.predict(path))
    boxes = [region.box for verdict in found for region in verdict.regions]
    assert boxes
    assert all(left >= SIZE[1] // 2 - 1 for left, *_ in boxes)
    with pytest.raises(InputError, match="use the backend openvino, or export it to onnx"):
        Runner(exported.folder, backend="onnx")


def test_it_runs_without_torch(exported: Any, predictor: Predictor, new: list[Path]) -> None:
    words = [sys.executable, "-c", WITHOUT_TORCH, UNNEEDED, exported.folder, *new[:2]]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for path, fields in zip(new, json.loads(done.stdout), strict=False):
        assert_same(Verdict.from_dict(fields), predictor.predict(path))


def test_watch_takes_an_exported_folder(exported: Any, new: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "watched"
    succeed("watch", new[0].parent, exported.folder, "--once", "--steady", 0, "--out", out)
    assert len((out / "results.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(new)


@pytest.fixture
def copied(exported: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "copied"))


@pytest.mark.parametrize("name", [ARRAYS, "patches.onnx", "regions.onnx", "classes.onnx"])
def test_damaged_files_are_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}' of an exported model is damaged; export"):
        Runner(copied)
    (copied / name).unlink()
    with pytest.raises(InputError, match=f"lacks the file {name}; export the model again"):
        Runner(copied)


def test_other_formats_and_engines_are_refused(copied: Path) -> None:
    with pytest.raises(InputError, match="backend 'tvm' is unknown; use onnx, openvino"):
        Runner(copied, backend="tvm")
    description = json.loads((copied / DESCRIPTION).read_text(encoding="utf-8"))
    (copied / DESCRIPTION).write_text(json.dumps(description | {"format": 99}), encoding="utf-8")
    with pytest.raises(InputError, match="has format 99, this version reads 1"):
        Runner(copied)
    changed = description | {"facts": description["facts"] | {"temperature": 1.0}}
    (copied / DESCRIPTION).write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(InputError, match="of an exported model is damaged; export the model again"):
        Runner(copied)
    with pytest.raises(InputError, match="does not exist; check the path"):
        Runner(copied / "missing")
