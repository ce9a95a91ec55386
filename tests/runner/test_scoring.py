"""Detectors score patches as they do with tensors."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from anomalyncd.config import Config
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchExtractor
from anomalyncd.export.writing import arrays_of_detector
from anomalyncd.runner.folder import ExportedModel
from anomalyncd.runner.scoring import GraphDetector

EXTRACTOR = PatchExtractor(96, None, FeatureSpace((), (), (1,)))
LENGTHS = (6, 9, 6, 4, 8)
NAMES = ("a", "b", "c", "d", "e")


def vectors(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, 7, generator=generator), dim=1)


def runnable(detector: MutualScoring | MemoryBank) -> GraphDetector:
    facts: dict[str, Any] = {
        "tile_side": None,
        "detector": detector.kind,
        "names": detector.names,
        "lengths": getattr(detector, "lengths", ()),
        "closest": getattr(detector, "closest", ()),
    }
    return GraphDetector(ExportedModel("onnx", Config(), facts, {}, arrays_of_detector(detector)))


def assert_same(detector: MutualScoring | MemoryBank, name: str) -> None:
    layers = [vectors(12, seed).view(3, 4, 7) for seed in (10, 11)]
    expected = detector.patch_scores([one.permute(2, 0, 1) for one in layers], name)
    found = runnable(detector).patch_scores([one.numpy() for one in layers], name)
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("discounted", [False, True])
@pytest.mark.parametrize("name", ["new", "c"])
def test_mutual_scoring(discounted: bool, name: str) -> None:
    layers = tuple(vectors(sum(LENGTHS), seed).bfloat16() for seed in (1, 2))
    discounts = tuple(torch.rand(sum(LENGTHS)) / 3 for _ in layers) if discounted else ()
    assert_same(MutualScoring(EXTRACTOR, layers, LENGTHS, NAMES, (0.2, 0.6), discounts), name)


@pytest.mark.parametrize("discounted", [False, True])
@pytest.mark.parametrize("name", ["new", "c"])
def test_memory_bank(discounted: bool, name: str) -> None:
    names = tuple(name for name, count in zip(NAMES, LENGTHS, strict=True) for _ in range(count))
    layers = tuple(vectors(len(names), seed).bfloat16() for seed in (1, 2))
    discounts = tuple(torch.rand(len(names)) / 3 for _ in layers) if discounted else ()
    assert_same(MemoryBank(EXTRACTOR, layers, names, discounts), name)
