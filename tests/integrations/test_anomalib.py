"""Predictions in the forms of anomalib's engine; tests/with_anomalib runs anomalib itself."""

import re
from collections import UserDict
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.integrations.anomalib import BatchWriter, write_maps

SCORES = np.random.default_rng(0).random((5, 6, 8)).astype(np.float16).astype(np.float32)
NAMES = ("good/0", "good/1", "hole/0", "hole/1", "hole/2")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_images(tmp_path / "photos")


def make_images(folder: Path) -> Path:
    for name in NAMES:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((12, 16), np.uint8)).save(path)
    return folder


def paths(folder: Path, *indices: int) -> list[str]:
    return [str(folder / f"{NAMES[index]}.png") for index in indices]


def batch(image_path: object, anomaly_map: object) -> SimpleNamespace:
    return SimpleNamespace(image_path=image_path, anomaly_map=anomaly_map, pred_score=None)


def read_all(folder: Path, images: Path) -> np.ndarray:
    """The maps as `discover` pairs them, in the order of `NAMES`."""
    opened = ImageSet.from_folder(images)
    assert opened.names == NAMES
    return np.stack(list(AnomalyMaps.from_folder(folder, opened)))


def test_batches_of_every_type(photos: Path, tmp_path: Path) -> None:
    class Tuple(NamedTuple):
        image_path: list[str]
        anomaly_map: torch.Tensor

    predictions = [
        batch(paths(photos, 4), torch.from_numpy(SCORES[4])[None, None]),
        UserDict(image_path=paths(photos, 1), anomaly_map=SCORES[1]),
        [
            Tuple(paths(photos, 0, 2), torch.from_numpy(SCORES[[0, 2]])[:, None]),
            batch(photos / "hole/1.png", SCORES[3]),
        ],
    ]
    write_maps(predictions, tmp_path / "maps", photos)
    np.testing.assert_array_equal(read_all(tmp_path / "maps", photos), SCORES)
    assert np.load(tmp_path / "maps" / "good" / "0.npy").dtype == np.float16


def test_a_batch_alone(photos: Path, tmp_path: Path) -> None:
    write_maps(batch(tuple(paths(photos, *range(5))), SCORES), str(tmp_path / "maps"), photos)
    np.testing.assert_array_equal(read_all(tmp_path / "maps", photos), SCORES)


def test_names_within_test_in_the_layout_of_mvtec(tmp_path: Path) -> None:
    images = make_images(tmp_path / "bottle" / "test")
    write_maps([batch(paths(images, *range(5)), SCORES)], tmp_path / "maps", tmp_path / "bottle")
    np.testing.assert_array_equal(read_all(tmp_path / "maps", tmp_path / "bottle"), SCORES)


def test_images_of_a_manifest(photos: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "images.csv"
    manifest.write_text("image\nphotos/hole/2.png\n", encoding="utf-8")
    write_maps([batch(paths(photos, 4), SCORES[4])], tmp_path / "maps", manifest)
    np.testing.assert_array_equal(
        AnomalyMaps.from_folder(tmp_path / "maps", ImageSet.from_manifest(manifest))[0], SCORES[4]
    )


def test_paths_that_are_relative_or_follow_links(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        (tmp_path / "linked").symlink_to(photos)
    except OSError:
        pytest.skip("no links may be made here")
    monkeypatch.chdir(tmp_path)
    relative = [f"photos/{name}.png" for name in NAMES]
    write_maps([batch(relative, SCORES)], "maps", "linked")
    np.testing.assert_array_equal(read_all(tmp_path / "maps", tmp_path / "linked"), SCORES)


def test_a_writer_takes_each_image_once_until_it_starts_again(photos: Path, tmp_path: Path) -> None:
    writer = BatchWriter(tmp_path / "maps", photos)
    writer.write(batch(paths(photos, 0), SCORES[0]))
    writer.start_again()
    writer.write(batch(paths(photos, 0), SCORES[1]))
    np.testing.assert_array_equal(np.load(tmp_path / "maps" / "good" / "0.npy"), SCORES[1])


def with_nan(scores: np.ndarray) -> np.ndarray:
    return np.where(np.arange(8) == 3, np.float32("nan"), scores)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "there are no predictions; call Engine.predict with"),
        (lambda p: [[]], "there are no predictions; call Engine.predict with"),
        (lambda p: [3], "a prediction of type int has no image_path; give the result"),
        (lambda p: batch(None, SCORES), "a prediction of type SimpleNamespace has no image_path"),
        (lambda p: batch([], SCORES), "a prediction of type SimpleNamespace has no image_path"),
        (lambda p: batch([None], SCORES), "a prediction of type SimpleNamespace has no image_path"),
        (
            lambda p: batch(paths(p, 0), None),
            "good/0.png' was predicted without an anomaly_map; use a model that scores every pixel",
        ),
        (lambda p: batch(paths(p, 0, 1), SCORES), "good/0.png' has 2 images and 5 maps; give one"),
        (lambda p: batch(paths(p, 0), SCORES), "good/0.png' has shape (5, 6, 8); expected HxW"),
        (
            lambda p: batch(paths(p, 0), with_nan(SCORES[0])),
            "good/0.png' has 6 values that are NaN or infinite; give finite scores",
        ),
        (
            lambda p: batch(paths(p, 0), SCORES[0] * 1e6),
            "good/0.png' goes beyond +-65504; divide the maps of all images by the same number",
        ),
        (
            lambda p: [batch(paths(p, 0, 1), SCORES[:2]), batch(paths(p, 1), SCORES[1])],
            "good/1.png' was predicted twice; predict each image once",
        ),
        (
            lambda p: batch([str(p.parent / "other" / "0.png")], SCORES[0]),
            "0.png' is not among the images under '",
        ),
    ],
)
def test_predictions_that_cannot_be_written(
    photos: Path, tmp_path: Path, make: object, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        write_maps(make(photos), tmp_path / "maps", photos)


def test_images_from_memory_have_no_files(photos: Path, tmp_path: Path) -> None:
    images = ImageSet.from_list([np.zeros((12, 16), np.uint8)], ["good/0"])
    with pytest.raises(InputError, match=r"0\.png' is not among the images; give the predicted"):
        write_maps(batch(paths(photos, 0), SCORES[0]), tmp_path / "maps", images)


def test_a_file_in_place_of_the_folder(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="maps' is a file"):
        write_maps(batch(paths(photos, 0), SCORES[0]), tmp_path / "maps", photos)
