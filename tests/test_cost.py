"""What a run will need grows with what is asked of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomalyncd import cost as module
from anomalyncd.config import Config, DetectorConfig
from anomalyncd.cost import CostEstimate, estimate_cost, require_disk, require_resources
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
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


@pytest.mark.parametrize(
    ("free", "said"),
    [
        ({"disk": 1.9}, "about 4.0 GB on the disk of '.*' are needed and 1.9 GB are free; free"),
        ({"memory": 0.9}, "about 2.0 GB of memory are needed and 0.9 GB are free; close other"),
    ],
)
def test_less_than_half_of_what_is_needed_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    free: dict[str, float],
    said: str,
) -> None:
    def set_free(disk: float | None = 100, memory: float | None = 100) -> None:
        monkeypatch.setattr(module, "free_disk_gb", lambda folder: disk)
        monkeypatch.setattr(module, "memory_gb", lambda: memory)

    cost, run = CostEstimate(memory_gb=2, disk_gb=4, seconds=60), tmp_path / "new" / "run"
    set_free(**free)
    with pytest.raises(InputError, match=said):
        require_resources(cost, run)
    set_free(**{name: 1.2 * value for name, value in free.items()})
    require_resources(cost, run)
    assert "are needed and" in caplog.messages[0]
    caplog.clear()
    for plenty in ({}, dict.fromkeys(free)):
        set_free(**plenty)
        require_resources(cost, run)
    assert not caplog.messages


def test_what_an_interrupted_run_has_written_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "free_disk_gb", lambda folder: 1e-9)
    with pytest.raises(InputError, match="free some space there"):
        require_disk(1e-6, tmp_path)
    (tmp_path / "map.npy").write_bytes(bytes(700))
    require_disk(1e-6, tmp_path)


@pytest.mark.usefixtures("steady")
def test_tokens_that_are_not_saved_take_no_disk(encoder: RegionEncoder) -> None:
    inputs = check_inputs(ImageSet.from_list([np.full((90, 90, 3), 90, np.uint8)] * 3))
    kept, not_kept = (estimate_cost(inputs, encoder, QUICK, False, keep) for keep in (True, False))
    assert kept.disk_gb > not_kept.disk_gb == pytest.approx(module.map_bytes(inputs, QUICK) / 1e9)
    small = replace(QUICK, crops=replace(QUICK.crops, memory_limit_gb=0))
    assert estimate_cost(inputs, encoder, small, False, False).disk_gb == not_kept.disk_gb
    upright = RegionEncoder(encoder.vit, QUICK.resolved().encoder)
    in_memory, mapped = (
        estimate_cost(inputs, upright, one, False, False) for one in (QUICK, small)
    )
    assert mapped.disk_gb > in_memory.disk_gb == not_kept.disk_gb
    assert mapped.memory_gb < in_memory.memory_gb


@pytest.mark.usefixtures("steady")
def test_regions_from_which_nothing_is_trained_take_little(encoder: RegionEncoder) -> None:
    inputs = check_inputs(ImageSet.from_list([np.full((90, 90, 3), 90, np.uint8)] * 3))
    upright = RegionEncoder(encoder.vit, QUICK.resolved().encoder)
    bare = estimate_cost(inputs, encoder, QUICK, False, keeps_tokens=False)
    averaged, trained = (estimate_cost(inputs, one, QUICK, False) for one in (encoder, upright))
    n_regions, n_tokens, width = 1.3 * 3, 17, 16
    means = n_regions * 4 * (3 * width + n_tokens) / 1e9
    assert averaged.disk_gb - bare.disk_gb == pytest.approx(means)
    tokens = n_regions * 3 * n_tokens * width * 2 / 1e9
    assert trained.disk_gb - bare.disk_gb == pytest.approx(tokens)
    assert trained.memory_gb - averaged.memory_gb == pytest.approx(tokens - means)


def test_the_tiles_of_line_scans_are_counted(steady: None, encoder: RegionEncoder) -> None:
    images = ImageSet.from_list([np.zeros((8, 8, 3), np.uint8)] * 4)

    def cost(size: tuple[int, int], tile: int | None) -> CostEstimate:
        inputs = Inputs(images, np.array([size] * 4))
        config = Config(DetectorConfig(tile=tile, layers=(0,)))
        return estimate_cost(inputs, encoder, config, counts_classes=False)

    scan, whole = cost((16384, 2048), None), cost((16384, 2048), 0)
    assert scan.disk_gb - whole.disk_gb == pytest.approx(4 * 251 * 2 * 256**2 / 1e9)
    assert scan.memory_gb > cost((1024, 1024), None).memory_gb + 0.3
