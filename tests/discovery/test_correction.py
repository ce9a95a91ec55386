"""What anomaly scores say of classes, and that it can be switched off."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from anomalyncd import InputError
from anomalyncd.config import TrainingConfig
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.region_store import fill_store
from support.quick import QUICK, crops, run_context, scored_regions

COUNT = 12
HIGH = np.full(COUNT, 0.9, np.float32)
HALF_LOW = np.where(np.arange(COUNT) % 2, HIGH, 0).astype(np.float32)


@pytest.mark.parametrize(
    ("correction", "same"), [("none", True), ("published", False), ("neighbours", False)]
)
def test_scores_change_classes_unless_correction_is_off(
    encoder: RegionEncoder,
    tmp_path: Path,
    correction: Literal["published", "neighbours", "none"],
    same: bool,
) -> None:
    training = replace(QUICK.training, start="random", correction=correction)
    config = replace(QUICK, training=training)
    encoder.config = replace(encoder.config, n_rotations=1)
    context = run_context(encoder, tmp_path, config)
    tokens = fill_store(context, crops(COUNT), COUNT)
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    found = []
    for scores in (HIGH, HALF_LOW):
        encoder.load_state_dict(state)
        found.append(
            discover_classes(context, scored_regions(scores), tokens, None, 3).probabilities
        )
    assert np.array_equal(*found) == same


def test_without_correction_scores_only_name_the_normal_class(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    training = TrainingConfig(correction="none", n_heads=1)
    config = replace(QUICK, training=training)
    context = run_context(encoder, tmp_path, config)
    tokens = fill_store(context, crops(COUNT), COUNT)
    first = discover_classes(context, scored_regions(HIGH), tokens, None, 3).probabilities.argmax(1)
    low = np.where(first == 2, 0.1, 0.9).astype(np.float32)
    named = discover_classes(context, scored_regions(low), tokens, None, 3).probabilities.argmax(1)
    assert np.array_equal(named == 0, first == 2)
    assert len({*zip(first, named, strict=True)}) == 3


def test_unknown_corrections_and_starts_are_refused() -> None:
    with pytest.raises(InputError, match="use one of published, neighbours, none"):
        TrainingConfig(correction="off")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="use one of random, kmeans"):
        TrainingConfig(start="k-means")  # type: ignore[arg-type]
