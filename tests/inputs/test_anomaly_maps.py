"""Anomaly maps: files of every kind, and their pairing with images."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps, as_maps, check_maps
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.io.arrays import read_map, to_map, write_map

SCORES = np.random.default_rng(0).random((6, 9)).astype(np.float32)


def _images(*names: str, height: int = 6, width: int = 9) -> ImageSet:
    return ImageSet.from_list([np.zeros((height, width), np.uint8) for _ in names], names)


def _save(path: Path, scores: NDArray[np.float32] = SCORES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_suffix(".npy"), scores)
    return path.with_suffix(".npy")


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SCORES[None, ..., None].astype(np.float64))
    np.savez_compressed(tmp_path / "b.npz", SCORES)
    np.savez(tmp_path / "c.npz", anomaly_map=SCORES, mask=SCORES > 0.5)
    for name in ("a.npy", "b.npz", "c.npz"):
        result = read_map(tmp_path / name)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, SCORES)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(suffix, dtype) for suffix in (".png", ".tif", ".tiff") for dtype in (np.uint8, np.uint16)]
    + [(".tif", np.float32), (".tiff", np.float64)],
)
def test_image_files_keep_their_values(tmp_path: Path, suffix: str, dtype: type) -> None:
    highest = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1.7)
    scores = (SCORES / SCORES.max() * highest).astype(dtype)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), scores)
    np.testing.assert_array_equal(read_map(tmp_path / f"a{suffix}"), scores.astype(np.float32))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1"])
def test_grey_pictures_saved_in_colour(tmp_path: Path, mode: str) -> None:
    levels = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    Image.fromarray(levels).convert(mode).save(tmp_path / "a.png")
    expected = levels / 255 if mode == "1" else levels
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[0.5, np.nan], [np.inf, 1]]), "2 values that are NaN or infinite"),
        (np.array([[1e60]]), "NaN or infinite"),
        (np.zeros((0, 4)), r"shape \(0, 4\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((3, 4, 5)), r"shape \(3, 4, 5\)"),
        (np.array("a"), "type <U1"),
        (np.zeros((2, 2), complex), "complex"),
    ],
)
def test_unusable_maps_are_named(tmp_path: Path, bad: NDArray[np.float64], message: str) -> None:
    np.save(tmp_path / "x.npy", bad)
    with pytest.raises(InputError, match=message) as caught:
        read_map(tmp_path / "x.npy")
    assert str(tmp_path / "x.npy") in str(caught.value)


def test_one_pixel_rows_stay_maps() -> None:
    assert to_map(np.zeros((1, 7)), "x").shape == (1, 7)
    assert to_map(np.zeros((1, 1, 1)), "x").shape == (1, 1)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tif", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_truncated_maps_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut{suffix}"
    noise = np.random.default_rng(1).random((50, 60)).astype(np.float32)
    if suffix == ".npy":
        np.save(path, noise)
    elif suffix == ".npz":
        np.savez(path, noise)
    else:
        cv2.imwrite(str(path), noise if suffix == ".tif" else (noise * 255).astype(np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_map(path)
    assert str(path) in str(caught.value)
    path.unlink()  # Windows refuses where a handle stayed open.


def test_files_that_execute_or_mislead_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_map(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", one=SCORES, two=SCORES)
    with pytest.raises(InputError, match="holds the arrays one, two; name one"):
        read_map(tmp_path / "b.npz")
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="coloured picture"):
        read_map(tmp_path / "c.png")
    with pytest.raises(InputError, match="does not exist"):
        read_map(tmp_path / "d.npy")


def test_written_maps_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep/v1.2 ä.npy"
    write_map(path, SCORES)
    assert np.load(path).dtype == np.float16
    np.testing.assert_allclose(read_map(path), SCORES, rtol=5e-4)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_folders_are_paired_by_name(tmp_path: Path) -> None:
    images = _images("b/1", "a/v1.2", "a/1")
    for index, name in enumerate(images.names):
        _save(tmp_path / "plain" / f"{name}.x", SCORES + index)
        _save(tmp_path / "mvtec/test" / f"{name}.x", SCORES + index)
    _save(tmp_path / "mvtec/train/good/000.x")
    for folder in ("plain", "mvtec"):
        maps = as_maps(str(tmp_path / folder), images)
        assert maps.names == images.names
        assert len(maps) == 3
        for index, scores in enumerate(maps):
            np.testing.assert_array_equal(scores, SCORES + index)


def test_pairing_faults_are_named(tmp_path: Path) -> None:
    images = _images("a/1", "a/2", "b/3")
    (tmp_path / "maps").mkdir()
    with pytest.raises(InputError, match="no map under"):
        as_maps(tmp_path / "maps", images)
    _save(tmp_path / "maps/a/1.x")
    with pytest.raises(
        InputError, match=r"image 'a/2' \(and 1 more\) has no map; expected a/2\.\("
    ):
        as_maps(tmp_path / "maps", images)
    _save(tmp_path / "maps/a/2.x")
    _save(tmp_path / "maps/B/3.x")
    with pytest.raises(
        InputError,
        match=r"3\.npy' has no image; expected B/3\.\(png.*among the images.*nearest.*'b/3'",
    ):
        as_maps(tmp_path / "maps", images)
    cv2.imwrite(str(tmp_path / "maps/a/1.png"), np.zeros((6, 9), np.uint8))
    with pytest.raises(InputError, match=r"map 'a/1' exists twice .*'1\.npy' and '1\.png'"):
        as_maps(tmp_path / "maps", images)
    _save(tmp_path / "flat/1.x")
    with pytest.raises(
        InputError, match="no map belongs to an image: a map is named like '1', an image"
    ):
        as_maps(tmp_path / "flat", images)


@pytest.mark.parametrize("shape", [(2, 6, 9), (2, 1, 6, 9)])
def test_stacks_follow_the_order_of_the_images(shape: tuple[int, ...]) -> None:
    stack = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    images = _images("a", "b")
    for given in (stack, stack.detach().numpy(), list(stack)):
        maps = as_maps(given, images)
        np.testing.assert_allclose(maps[1], stack[1].detach().reshape(6, 9), rtol=1e-6)
    with pytest.raises(InputError, match="2 maps for 3 images"):
        as_maps(stack, _images("a", "b", "c"))


def test_dictionaries_are_paired_by_name(tmp_path: Path) -> None:
    images = _images("a", "b")
    maps = as_maps({"b": SCORES + 1, "a": _save(tmp_path / "whatever.x")}, images)
    assert [scores.min() for scores in maps] == [SCORES.min(), (SCORES + 1).min()]
    assert as_maps(maps, images) is maps
    with pytest.raises(InputError, match="image 'b' has no map"):
        as_maps({"a": SCORES}, images)
    with pytest.raises(InputError, match="map 'c' has no image"):
        as_maps({"a": SCORES, "b": SCORES, "c": SCORES}, images)
    with pytest.raises(InputError, match="other images"):
        as_maps(maps, _images("b", "a"))
    with pytest.raises(InputError, match="give a folder or a list"):
        as_maps(3, images)  # type: ignore[arg-type]


def test_lists_of_files_in_another_order_are_refused(tmp_path: Path) -> None:
    images = _images("k/b", "k/a")
    paths = [_save(tmp_path / f"{name}.x") for name in ("a", "b")]
    with pytest.raises(InputError, match=r"a\.npy' stands where that of 'k/b' belongs"):
        as_maps(paths, images)
    assert as_maps(paths[::-1], images).sources == tuple(paths[::-1])
    other = [_save(tmp_path / f"score_{name}.x") for name in ("a", "b")]
    assert as_maps(other, images).sources == tuple(other)


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((214, 600), True),
        ((80, 224), True),
        ((84, 224), True),
        ((5, 14), True),
        ((256, 256), True),
        ((600, 214), False),
        ((100, 224), False),
    ],
)
def test_maps_cover_the_whole_image(shape: tuple[int, int], fits: bool) -> None:
    images = _images("a", "b", height=214, width=600)
    sizes = np.array([[214, 600]] * 2)
    maps = as_maps([np.zeros((214, 600)), np.zeros(shape)], images)
    if fits:
        check_maps(maps, sizes)
    else:
        with pytest.raises(InputError, match=f"'b' is {shape[0]}x{shape[1]}.*its image 214x600"):
            check_maps(maps, sizes)


def test_checking_finds_damage_in_files(tmp_path: Path) -> None:
    images = _images("a", "b", "c")
    for name in images.names:
        _save(tmp_path / f"{name}.x", np.full((6, 9), 0.5 if name == "a" else np.nan, np.float32))
    with pytest.raises(InputError, match=r"b\.npy' has 54 values that are NaN.*\(and 1 more\)"):
        check_maps(AnomalyMaps.from_folder(tmp_path, images), np.array([[6, 9]] * 3))


def test_checking_may_collect_every_fault_and_what_the_maps_hold() -> None:
    images = _images("a", "b", "c")
    maps = as_maps([np.zeros((6, 9)), np.ones((9, 6)), np.full((6, 9), 0.5)], images)
    findings = Findings(collect=True)
    check_maps(maps, np.array([[6, 9]] * 3), findings)
    assert len(findings.problems) == 1
    assert findings.problems[0].startswith("the map or mask of 'b' is 9x6")
    assert findings.facts == [("maps", "in memory (2)"), ("maps: scores", "0 to 0.5")]


def _said_of_maps(maps: list[np.ndarray]) -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*maps[0].shape, 3), np.uint8) for _ in maps]
    return check_inputs(images, maps=maps).warnings


def _maps_with_a_defect(count: int) -> list[np.ndarray]:
    maps = [np.random.default_rng(seed).uniform(0, 0.3, (40, 40)) for seed in range(count)]
    for scores in maps:
        scores[10:20, 10:20] = 0.9
    return maps


def test_usual_maps_give_no_warning() -> None:
    assert _said_of_maps(_maps_with_a_defect(5)) == ()


@pytest.mark.parametrize(
    "invert", [lambda scores: -scores, lambda scores: 1 - scores, lambda scores: 1 / (scores + 1)]
)
def test_inverted_maps_are_said(invert: Callable[[np.ndarray], np.ndarray]) -> None:
    maps = _maps_with_a_defect(5)
    (warning,) = _said_of_maps([*map(invert, maps[:4]), maps[4]])
    assert warning.startswith("On 4 of 5 maps (maps) most of the image scores above the middle")
    assert "Change the sign of the maps" in warning
    assert _said_of_maps([*map(invert, maps[:3]), *maps[3:]]) == ()
    assert _said_of_maps([*map(invert, maps[:2])]) == ()


def test_constant_maps_are_counted() -> None:
    maps = [*_maps_with_a_defect(3), np.full((40, 40), 0.2), np.zeros((40, 40))]
    (warning,) = _said_of_maps(maps)
    assert warning.startswith(
        "All scores are the same on 2 maps of 5 (maps), first on that of '003'"
    )


def test_tensors_of_pytorch_are_read_without_executing_anything(tmp_path: Path) -> None:
    scores = torch.from_numpy(SCORES)
    for name, saved in (("a", scores), ("b", scores[None]), ("c", {"anomaly_map": scores})):
        torch.save(saved, tmp_path / f"{name}.pt")
        np.testing.assert_array_equal(read_map(tmp_path / f"{name}.pt"), SCORES)
    torch.save({"pred_mask": scores}, tmp_path / "d.pt")
    with pytest.raises(InputError, match=r"d\.pt' holds no tensor; save a tensor"):
        read_map(tmp_path / "d.pt")
    torch.save(Path("anything"), tmp_path / "e.pt")
    with pytest.raises(InputError, match=r"e\.pt' cannot be read \(damaged, or more than tensors"):
        read_map(tmp_path / "e.pt")
    (tmp_path / "f.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"f\.pt' cannot be read"):
        read_map(tmp_path / "f.pt")
    torch.save(torch.stack([scores, scores]), tmp_path / "g.pt")
    with pytest.raises(InputError, match="expected HxW, one score a pixel"):
        read_map(tmp_path / "g.pt")
