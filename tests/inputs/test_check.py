"""What is understood of inputs and all that is wrong with them, and the contact sheet."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.images.findings import Findings
from anomalyncd.inputs.inputs import Inputs, check_data
from anomalyncd.inputs.sources import InputSources


def _save(path: Path, pixels: NDArray[np.generic]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def _check(images: object, **further: object) -> tuple[Inputs | None, Findings]:
    return check_data(InputSources(images, **further))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _save(tmp_path / "photos/hole/1.png", np.zeros((6, 9, 3), np.uint8))
    _save(tmp_path / "photos/hole/2.png", np.zeros((6, 9), np.uint16))
    _save(tmp_path / "photos/good/1.png", np.zeros((12, 18, 4), np.uint8))
    marked = np.zeros((6, 9), np.uint8)
    marked[:3] = 255
    _save(tmp_path / "masks/hole/1.png", marked)
    for name in ("good/1", "hole/1", "hole/2"):
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"maps/{name}.npy", np.linspace(0, 0.5, 54).reshape(6, 9))
    return tmp_path


def test_what_is_understood(folder: Path) -> None:
    inputs, findings = _check(
        folder / "photos",
        maps=folder / "maps",
        ignore=folder / "masks",
        normals=folder / "photos" / "good",
        normal_maps=[np.zeros((12, 18), np.float32)],
    )
    assert findings.problems == []
    assert inputs is not None
    assert inputs.normals is not None
    assert inputs.normal_maps is not None
    assert dict(findings.facts) == {
        "images": "3, of which 3 can be read",
        "images: width x height": "9x6 (2), 18x12 (1)",
        "images: pixels": "colour and transparency, 8 bit (1), colour, 8 bit (1), grey, 16 bit (1)",
        "folders": "hole (2), good (1)",
        "maps": ".npy (3)",
        "maps: scores": "0 to 0.5",
        "ignored": "1 of 3 images, on average 50.00% of the pixels of these images",
        "normal images": "1, of which 1 can be read",
        "normal images: width x height": "18x12 (1)",
        "normal images: pixels": "colour and transparency, 8 bit (1)",
        "normal images: maps": "in memory (1)",
        "normal images: maps: scores": "0 to 0",
        "white level": "255 (no value is above it)",
    }


def test_a_manifest_is_described(folder: Path) -> None:
    path = folder / "images.csv"
    path.write_text(
        "image,label,split,lot,mask\n"
        "photos/hole/1.png,hole,test,7,masks/hole/1.png\n"
        "photos/hole/2.png,,test,7,\n"
        "photos/good/1.png,good,train,8,\n",
        encoding="utf-8",
    )
    inputs, findings = _check(path, masks=path)
    assert findings.problems == []
    facts = dict(findings.facts)
    assert facts["images"] == "2, of which 2 can be read"
    assert facts["splits"] == "test (2), train (1)"
    assert facts["labels"] == "hole (1), (blank) (1)"
    assert facts["column lot"] == "7 (2)"
    assert facts["column mask"].startswith("1 of 3 rows")
    assert facts["masks"] == "1 of 2 images, on average 50.00% of the pixels of these images"
    assert inputs is not None
    assert inputs.masks is not None


def test_every_fault_is_found(folder: Path) -> None:
    (folder / "photos/hole/1.png").write_bytes(b"")
    (folder / "photos/good/1.png").write_bytes(b"no image")
    np.save(folder / "maps/hole/2.npy", np.zeros((9, 6)))
    np.save(folder / "maps/hole/1.npy", np.full((6, 9), np.nan))
    (folder / "boxes.csv").write_text("name,left\nx,1\n", encoding="utf-8")
    inputs, findings = _check(
        folder / "photos",
        maps=folder / "maps",
        boxes=folder / "boxes.csv",
        ignore=folder / "nowhere.png",
        base=folder / "masks",
        normals=folder / "nowhere",
    )
    expected = (
        "nowhere' does not exist",
        "several of `maps`, `masks` and `boxes` are given",
        "good/1.png' cannot be read",
        "hole/1.png' cannot be read",
        "nowhere.png' does not exist",
        "has no column 'top'",
        "hole/1.npy' has 54 values that are NaN",
        "'hole/2' is 9x6 (height x width)",
        "has no masks; expected them under",
    )
    for message, problem in zip(expected, findings.problems, strict=True):
        assert message in problem.replace("\\", "/")
    assert inputs is not None
    assert inputs.sizes.tolist() == [[0, 0], [0, 0], [6, 9]]


def test_the_rest_is_checked_if_the_images_cannot_be_opened(folder: Path) -> None:
    inputs, findings = _check(folder / "nowhere", normals=folder / "photos")
    assert inputs is None
    assert len(findings.problems) == 1
    assert findings.facts[0] == ("normal images", "3, of which 3 can be read")


def test_many_kinds_are_counted_not_listed(tmp_path: Path) -> None:
    for index in range(15):
        _save(tmp_path / f"kind {index:02}/1.png", np.zeros((4, 4 + index), np.uint8))
    facts = dict(_check(tmp_path)[1].facts)
    assert facts["folders"].endswith("kind 11 (1) and 3 more")
    assert facts["images: width x height"] == "4 to 18 x 4 to 4"
