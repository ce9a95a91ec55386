"""Patches are compared in any precision, and with those of the same place alone where asked for."""

import numpy as np
import pytest
import torch

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import (
    FeatureSpace,
    SamePlace,
    distances,
    grid_positions,
    likeness,
)
from anomalyncd.detection.fitting import fit_detector
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchExtractor, PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet

VIEW = PatchExtractor(96, None, FeatureSpace((), (), (1,)))
ROW, COLUMNS = torch.eye(4), 4
"""A row of four patches, each unlike the others."""


def features(*order: int) -> list[torch.Tensor]:
    return [ROW[list(order)].T.view(4, 1, COLUMNS)]


def bank(within: float | None) -> MemoryBank:
    place = None if within is None else SamePlace(grid_positions(1, COLUMNS), within)
    return MemoryBank(VIEW, (ROW,), ("a",) * COLUMNS, place)


def mutual(within: float | None) -> MutualScoring:
    positions = grid_positions(1, COLUMNS).repeat(2, 1)
    place = None if within is None else SamePlace(positions, within)
    lengths = (COLUMNS, COLUMNS)
    return MutualScoring(VIEW, (ROW.repeat(2, 1),), lengths, ("a", "b"), (0, 1), place)


def test_bfloat16_tells_the_nearest_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    near = torch.ones(20, 64) + 0.2 * torch.randn(20, 64, generator=generator)
    near = torch.nn.functional.normalize(near, dim=1).bfloat16()
    found = distances(likeness(near.T[:, None], near))
    exact = distances(near.double() @ near.T.double() - 1)
    other = ~torch.eye(20, dtype=torch.bool)
    assert (found / exact - 1)[other].abs().max() < 0.01


def test_near_is_a_window_around_the_own_place() -> None:
    near = SamePlace(grid_positions(4, 4), 0.3).near(4, 4)
    # 0.3 and half a patch, 0.125, reach one patch further on each side.
    assert near[5].view(4, 4).int().tolist() == [[1, 1, 1, 0]] * 3 + [[0] * 4]
    assert near[0].view(4, 4).int().tolist() == [[1, 1, 0, 0]] * 2 + [[0] * 4] * 2


def test_a_row_more_or_less_leaves_every_place_met() -> None:
    near = SamePlace(grid_positions(24, 30), 0.001).near(23, 31)
    assert near.any(0).all()
    assert near.sum(0).max() <= 4


@pytest.mark.parametrize("detector", [bank, mutual])
def test_what_is_normal_elsewhere_is_anomalous_here(detector) -> None:
    swapped = features(3, 1, 2, 0)
    assert detector(None).patch_scores(swapped, "new").max() < 1e-3
    scores = detector(0.3).patch_scores(swapped, "new")
    torch.testing.assert_close(scores, torch.tensor([[2**0.5, 0, 0, 2**0.5]]))
    # As far as next door is near enough.
    assert detector(0.3).patch_scores(features(1, 0, 3, 2), "new").max() < 1e-3


def test_place_without_a_patch_is_compared_with_all() -> None:
    place = SamePlace(torch.tensor([[0.5, 0.1], [0.5, 0.1]]), 0.05)
    few = MemoryBank(VIEW, (ROW[:2],), ("a", "a"), place)
    scores = few.patch_scores(features(0, 0, 1, 3), "new")
    torch.testing.assert_close(scores, torch.tensor([[0, 0, 0, 2**0.5]]), atol=1e-3, rtol=0)


def striped(swapped: bool) -> np.ndarray:
    """A plate, dark on the left and bright on the right; swapped, a bright square on the left."""
    pixels = np.full((96, 96, 3), 40, np.uint8)
    pixels[:, 48:] = 220
    if swapped:
        pixels[40:56, 8:24] = 220
    return pixels


@pytest.mark.parametrize("with_normals", [False, True])
def test_detectors_know_the_place_of_every_patch(
    encoder: RegionEncoder, with_normals: bool
) -> None:
    images = ImageSet.from_list([striped(False)] * 5)
    new = ImageSet.from_list([striped(True)], ["new"])
    normals = images if with_normals else None
    middle = []
    for within in (None, 0.1):
        config = DetectorConfig(
            resolution=96, layers=(0,), same_place=within, bank_size=100, frame="whole"
        )
        detector = fit_detector(encoder.vit, images, normals, config, 0)
        assert (detector.same_place is None) == (within is None)
        seen = PatchReader(encoder.vit, detector.view, config).look(new, 0)
        middle.append(float(detector.patch_scores(seen.features, "new")[5:7, 1:3].mean()))
    assert middle[1] > 1.2 * middle[0]
