"""What a run will need grows with what is asked of it."""

from dataclasses import replace

import numpy as np
import pytest

from anomalyncd import cost as module
from anomalyncd.config import Config, DetectorConfig
from anomalyncd.cost import CostEstimate, estimate_cost
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs, check_inputs
from support.quick import QUICK


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which the speed is known."""
    monkeypatch.setattr(module, "_speed", lambda *_: 1e9)


def needs(
    encoder: RegionEncoder, side: int, config: Config, counts_classes: bool = False
) -> CostEstimate:
    pictures = [np.full((side, side, 3), 90, np.uint8)] * 3
    inputs = check_inputs(ImageSet.from_list(pictures), normals=ImageSet.from_list(pictures))
    return estimate_cost(inputs, encoder, config, counts_classes)


def with_detector(**options: object) -> Config:
    return replace(QUICK, detector=replace(QUICK.detector, **options))


@pytest.mark.usefixtures("steady")
def test_large_pictures_take_longer_where_their_size_decides(encoder: RegionEncoder) -> None:
    chosen = with_detector(resolution=None)
    seconds = [needs(encoder, side, chosen).seconds for side in (300, 500, 1500)]
    assert seconds[0] == seconds[1]
    assert seconds[2] > 1.5 * seconds[1]
    assert needs(encoder, 300, QUICK).seconds == needs(encoder, 1500, QUICK).seconds


@pytest.mark.usefixtures("steady")
def test_poses_and_large_maps_count(encoder: RegionEncoder) -> None:
    plain = needs(encoder, 300, QUICK)
    assert needs(encoder, 300, with_detector(n_rotations=4)).seconds > plain.seconds
    upright = replace(QUICK, encoder=replace(QUICK.encoder, n_rotations=1))
    assert needs(encoder, 300, upright).seconds < plain.seconds
    full = needs(encoder, 300, with_detector(map_size=None))
    n_maps, small = 6, QUICK.detector.map_size
    assert small is not None
    assert full.disk_gb - plain.disk_gb == pytest.approx(n_maps * 2 * (300**2 - small**2) / 1e9)


@pytest.mark.usefixtures("steady")
def test_counting_classes_counts(encoder: RegionEncoder) -> None:
    counted = needs(encoder, 300, QUICK, counts_classes=True)
    assert counted.seconds > needs(encoder, 300, QUICK).seconds


def test_the_tiles_of_line_scans_are_counted(steady: None, encoder: RegionEncoder) -> None:
    images = ImageSet.from_list([np.zeros((8, 8, 3), np.uint8)] * 4)

    def cost(size: tuple[int, int], tile: int | None) -> CostEstimate:
        inputs = Inputs(images, np.array([size] * 4))
        config = Config(DetectorConfig(tile=tile, layers=(0,)))
        return estimate_cost(inputs, encoder, config, counts_classes=False)

    scan, whole = cost((16384, 2048), None), cost((16384, 2048), 0)
    assert scan.disk_gb - whole.disk_gb == pytest.approx(4 * 251 * 2 * 256**2 / 1e9)
    assert scan.memory_gb > cost((1024, 1024), None).memory_gb + 0.3
