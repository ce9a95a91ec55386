"""A discovery by Ray: the results of one process, to the last bit."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.workflows import discover_run

pytest.importorskip("ray", reason="Ray is not installed; see `make test-ray`")

from anomalyncd.config import PRESETS
from anomalyncd.results.run_folder import read_run
from anomalyncd.scale.engine import ray_engine
from support.quick import UNTRAINED
from support.ray_workers import two_workers


def _halved(mark: Path | None, item: int) -> float:
    if mark is not None and item == 5 and not mark.exists():
        mark.touch()
        os._exit(9)
    if item == 99:
        raise InputError("item 99 cannot be halved; give another")
    return item / 2


def test_a_discovery_has_the_bits_of_one_process_though_a_worker_dies(
    tiny: Path, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(UNTRAINED, crops=replace(UNTRAINED.crops, n_views=0))
    monkeypatch.setitem(PRESETS, "default", config)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # As the workers do; the last bits may depend on it.
    make = partial(AnomalyNCD, 3, backbone="tiny", weights=tiny, precision="fp32")
    try:
        discover_run(make(), images_folder, tmp_path / "one")
    finally:
        torch.set_num_threads(threads)
    with two_workers(tmp_path / "cache_of_workers"), ray_engine() as engine:
        items = list(range(12))
        dying = partial(partial, _halved, tmp_path / "died")
        assert list(engine.map(dying, items)) == [item / 2 for item in items]
        assert (tmp_path / "died").exists()
        with pytest.raises(InputError, match=r"^item 99 cannot be halved; give another$"):
            list(engine.map(partial(partial, _halved, None), [99]))
        # Fails if the maps or the regions are read in this process.
        monkeypatch.delattr("anomalyncd.pipeline.fill_store")
        monkeypatch.setattr("anomalyncd.detection.maps.ThisProcess", None)
        discover_run(make(), images_folder, tmp_path / "many", engine=engine)
    one, many = read_run(tmp_path / "one"), read_run(tmp_path / "many")
    pd.testing.assert_frame_equal(one.images, many.images, check_exact=True)
    pd.testing.assert_frame_equal(one.regions, many.regions, check_exact=True)
    assert np.array_equal(one.features, many.features)
    assert one.attention is not None
    assert np.array_equal(one.attention, many.attention)
    for path in sorted((tmp_path / "one" / "maps").rglob("*.npy")):
        other = tmp_path / "many" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()
