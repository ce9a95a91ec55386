"""Both built-in detectors: fitted, saved, and used to write maps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import DETECTORS, Detector, fit_detector
from anomalyncd.detection.maps import anomaly_map, write_anomaly_maps
from anomalyncd.detection.memory_bank import MemoryBank, extend_memory_bank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.cache import LIMIT_VARIABLE
from anomalyncd.io.component import State
from support.hammers import HAMMERS, hammer
from support.quick import QUICK, damage, picture

PLATES = ImageSet.from_list([picture("good", index) for index in range(6)] + [picture("spot", 6)])
CONFIG = QUICK.detector
ROTATED = DetectorConfig(
    resolution=96, layers=(0, 1), neighbourhoods=(1, 3), n_rotations=2, reference_discount=0
)


def restored(detector: Detector) -> Detector:
    """The detector after its values went through JSON and its tensors through safetensors."""
    state = detector.state()
    tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
    values = json.loads(json.dumps(state.values))
    return DETECTORS[detector.kind].from_state(State(values, load(save(tensors))))


def maps_of(
    detector: Detector, encoder: RegionEncoder, config: DetectorConfig, images: ImageSet
) -> list[np.ndarray]:
    reader = PatchReader(encoder.vit, detector.extractor, config)
    return [
        anomaly_map(reader.read(images, index), detector, config, name)
        for index, name in enumerate(images.names)
    ]


@pytest.mark.parametrize("config", [CONFIG, ROTATED], ids=["default", "rotated"])
@pytest.mark.parametrize("images", [HAMMERS, PLATES], ids=["hammers", "plates"])
@pytest.mark.parametrize("with_normals", [False, True])
def test_a_restored_detector_makes_the_same_maps(
    encoder: RegionEncoder, images: ImageSet, with_normals: bool, config: DetectorConfig
) -> None:
    normals = images.select([1, 3, 5]) if with_normals else None
    detector = fit_detector(encoder.vit, images, normals, config, 0)
    assert (detector.extractor.roi_locator is not None) == (images is HAMMERS)
    loaded = restored(detector)
    assert type(loaded) is type(detector) is (MemoryBank if with_normals else MutualScoring)
    assert loaded.names == detector.names
    new = ImageSet((*images.names, "new"), (*images.sources, hammer(0.9, True, 50)))
    before, after = (maps_of(one, encoder, config, new) for one in (detector, loaded))
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_a_restored_memory_bank_takes_more_images(encoder: RegionEncoder) -> None:
    bank = fit_detector(encoder.vit, HAMMERS, HAMMERS.select([1, 2, 3]), ROTATED, 0)
    assert isinstance(bank, MemoryBank)
    loaded = restored(bank)
    assert isinstance(loaded, MemoryBank)
    more = HAMMERS.select([5, 6])
    before, after = (
        extend_memory_bank(encoder.vit, one, more, ROTATED, 0) for one in (bank, loaded)
    )
    assert before.names == after.names != bank.names
    assert all(torch.equal(*pair) for pair in zip(before.vectors, after.vectors, strict=True))


@pytest.mark.parametrize("with_normals", [False, True])
def test_damage_scores_higher_than_the_rest(encoder: RegionEncoder, with_normals: bool) -> None:
    normals = ImageSet.from_list([picture("good", 70 + index) for index in range(4)])
    detector = fit_detector(encoder.vit, PLATES, normals if with_normals else None, CONFIG, 0)
    scores = maps_of(detector, encoder, CONFIG, PLATES)[6]
    marked = damage("spot", 6)
    rows, columns = marked.nonzero()
    y = int(rows.mean() * scores.shape[0] / marked.shape[0])
    x = int(columns.mean() * scores.shape[1] / marked.shape[1])
    assert scores[y, x] > 1.5 * np.median(scores)


def test_one_normal_image_is_enough(encoder: RegionEncoder, tmp_path: Path) -> None:
    single = PLATES.select([0])
    detector = fit_detector(encoder.vit, single, single, CONFIG, 0)
    maps = write_anomaly_maps(encoder.vit, PLATES, detector, CONFIG, tmp_path)
    assert np.isfinite(maps[0]).all()
    assert maps[6].max() > maps[1].max()


@pytest.mark.parametrize("with_normals", [False, True])
def test_maps_are_equal_with_and_without_the_cache(
    encoder: RegionEncoder,
    forwards: list[int],
    tmp_path: Path,
    with_normals: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vit = encoder.set_frozen_precision(torch.bfloat16).vit
    images = PLATES.select(range(4))
    normals = ImageSet.from_list([picture("good", 9)], ["n"]) if with_normals else None
    n_images = 5 if with_normals else 4

    def maps(name: str) -> list[bytes]:
        detector = fit_detector(vit, images, normals, CONFIG, 0)
        written = write_anomaly_maps(vit, images, detector, CONFIG, tmp_path / name)
        return [scores.tobytes() for scores in written]

    first, n_first = maps("first"), len(forwards)
    second, n_second = maps("second"), len(forwards)
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    assert first == second == maps("without")
    assert n_first == n_second == n_images
