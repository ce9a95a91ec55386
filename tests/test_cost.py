"""What a run will need grows with what is asked of it."""

from dataclasses import replace

import numpy as np
import pytest

from anomalyncd import cost as module
from anomalyncd.config import Config
from anomalyncd.cost import CostEstimate, estimate_cost
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import check_inputs
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
