"""The memory bank compares each patch with a coreset of the patches of normal images."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.memory_bank import (
    MemoryBank,
    coreset,
    extend_memory_bank,
    fit_memory_bank,
)
from anomalyncd.detection.patches import PatchExtractor, PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.images.image_set import ImageSet
from support.quick import QUICK, picture

EXTRACTOR = PatchExtractor(96, None, FeatureSpace((), (), (1,)))
NORMALS = ImageSet.from_list([picture("good", 70 + index) for index in range(4)])
FIRST = ImageSet.from_list([picture("good", 70), picture("good", 71)], ["a", "b"])
ROUNDED = 0.01
"""Distances that are not near 0 change less when vectors are rounded to bfloat16."""
SPOT = ImageSet.from_list([picture("spot", 5)], ["spot"])


def unit(*shape: int) -> Tensor:
    vectors = torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))
    return normalize(vectors, dim=-1)


def scores_of(bank: MemoryBank, patches: Tensor, name: str = "new") -> Tensor:
    """Scores of patches (N, D) that lie in one row."""
    return bank.patch_scores([patches.T[:, None]], name).flatten()


def test_a_score_is_the_distance_to_the_nearest_normal_patch() -> None:
    bank, patches = unit(7, 16), unit(6, 16)
    grid = patches.T.view(16, 2, 3)
    scores = MemoryBank(EXTRACTOR, (bank.bfloat16(), -bank.bfloat16()), ("a",) * 7).patch_scores(
        [grid, grid], "new"
    )
    distances = (torch.cdist(patches, bank).amin(1) + torch.cdist(patches, -bank).amin(1)) / 2
    torch.testing.assert_close(scores, distances.view(2, 3), atol=ROUNDED, rtol=0)


def test_an_image_is_not_compared_with_itself() -> None:
    vectors = unit(8, 16)
    bank = MemoryBank(EXTRACTOR, (vectors.bfloat16(),), ("a",) * 4 + ("b",) * 4)
    expected = torch.cdist(vectors[:4], vectors[4:]).amin(1)
    torch.testing.assert_close(scores_of(bank, vectors[:4], "a"), expected, atol=ROUNDED, rtol=0)
    assert scores_of(bank, vectors[:4]).max() < 5 * ROUNDED


def test_the_only_image_has_the_largest_scores() -> None:
    vectors = unit(4, 16)
    bank = MemoryBank(EXTRACTOR, (vectors.bfloat16(),), ("a",) * 4)
    assert torch.equal(scores_of(bank, vectors, "a"), torch.full((4,), 2.0))


def test_the_smallest_discounted_distance_of_the_nearest_patches_counts() -> None:
    vectors, patches = unit(20, 6), unit(29, 6)[20:]
    discounts = torch.linspace(0, 0.3, 20)
    bank = MemoryBank(EXTRACTOR, (vectors.bfloat16(),), ("a",) * 20, discounts=(discounts,))
    nearest = torch.cdist(patches, vectors).topk(5, largest=False)
    expected = (nearest.values - discounts[nearest.indices]).amin(1).clamp(min=0)
    assert (expected > 0).any()
    torch.testing.assert_close(scores_of(bank, patches), expected, atol=ROUNDED, rtol=0)


def test_discounts_of_an_image_do_not_count_for_itself() -> None:
    vectors = unit(4, 6)
    discounts = torch.tensor([9.0, 9.0, 9.0, 0.1])
    bank = MemoryBank(
        EXTRACTOR, (vectors.bfloat16(),), ("a", "a", "a", "b"), discounts=(discounts,)
    )
    expected = (vectors[:1] - vectors[3:]).norm(dim=1) - 0.1
    torch.testing.assert_close(scores_of(bank, vectors[:1], "a"), expected, atol=ROUNDED, rtol=0)


def test_discounts_are_a_share_of_the_distance_to_other_images(encoder: RegionEncoder) -> None:
    config = DetectorConfig(resolution=96, layers=(0, 1), reference_discount=0.5)
    bank = fit_memory_bank(encoder.vit, NORMALS, config, 0)
    assert len(bank.discounts) == len(bank.vectors) == 2
    owners = torch.tensor([NORMALS.names.index(name) for name in bank.names])
    for vectors, discounts in zip(bank.vectors, bank.discounts, strict=True):
        distances = torch.cdist(vectors.float(), vectors.float())
        distances[owners[:, None] == owners] = 3
        expected = 0.5 * distances.amin(1).clamp(min=0.1)
        # Distances near 0 are rough in bfloat16.
        torch.testing.assert_close(discounts, expected, atol=0.03, rtol=0)
    without = fit_memory_bank(encoder.vit, NORMALS, replace(config, reference_discount=0), 0)
    assert without.discounts == ()


def test_discounts_of_patches_that_repeat_exactly_are_not_zero(encoder: RegionEncoder) -> None:
    repeated = ImageSet.from_list([picture("good", 1)] * 2, ["a", "b"])
    bank = fit_memory_bank(encoder.vit, repeated, QUICK.detector, 0)
    assert all((discounts == 0.3 * torch.tensor(0.1)).all() for discounts in bank.discounts)


def test_the_bank_has_the_size_of_the_config(encoder: RegionEncoder) -> None:
    config = DetectorConfig(resolution=96, layers=(0, 1), bank_size=10, n_candidates=50)
    bank = fit_memory_bank(encoder.vit, NORMALS, config, 0)
    assert [layer.shape for layer in bank.vectors] == [torch.Size([10, 17])] * 2
    assert len(bank.names) == 10


def test_every_image_gives_as_many_candidates(encoder: RegionEncoder) -> None:
    config = DetectorConfig(resolution=96, layers=(0, 1), bank_size=50, n_candidates=51)
    names = fit_memory_bank(encoder.vit, NORMALS, config, 0).names
    assert [names.count(name) for name in NORMALS.names] == [12] * 4


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 3))
def test_indices_of_a_coreset_are_distinct_and_ascend(n_tokens: int, count: int, seed: int) -> None:
    tokens = torch.randn(n_tokens, 8, generator=torch.Generator().manual_seed(seed))
    indices = coreset(tokens, count, seed)
    assert len(indices) == min(n_tokens, count)
    assert (indices.diff() > 0).all()
    assert indices.min() >= 0
    assert indices.max() < n_tokens


def test_a_coreset_has_a_token_of_every_cluster() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(9, 16, generator=generator)
    tokens = (centres[:, None] + torch.randn(9, 50, 16, generator=generator) / 10).flatten(0, 1)
    indices = coreset(tokens, 9, seed=1)
    assert sorted((indices // 50).tolist()) == list(range(9))


def test_a_coreset_depends_on_the_seed_alone() -> None:
    tokens = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(coreset(tokens, 10, 3), coreset(tokens, 10, 3))
    assert not torch.equal(coreset(tokens, 10, 3), coreset(tokens, 10, 4))


def test_equal_tokens_are_selected_once_each() -> None:
    assert len(coreset(torch.zeros(20, 4), 5, seed=0).unique()) == 5


@pytest.fixture
def vit(encoder: RegionEncoder) -> VisionTransformer:
    return encoder.vit


@pytest.fixture
def bank(vit: VisionTransformer) -> MemoryBank:
    return fit_memory_bank(vit, FIRST, QUICK.detector, 0)


def extended(vit: VisionTransformer, bank: MemoryBank, normals: ImageSet) -> MemoryBank:
    return extend_memory_bank(vit, bank, normals, QUICK.detector, 0)


def same(first: MemoryBank, second: MemoryBank) -> bool:
    pairs = zip(first.vectors, second.vectors, strict=True)
    return first.names == second.names and all(torch.equal(*pair) for pair in pairs)


def test_added_images_are_normal_and_earlier_ones_stay_normal(
    vit: VisionTransformer, bank: MemoryBank
) -> None:
    more = extended(vit, bank, SPOT)
    reader = PatchReader(vit, bank.extractor, QUICK.detector)
    spot, earlier = reader.read(SPOT, 0).features, reader.read(FIRST, 0).features
    assert bank.patch_scores(spot, "new").max() > 0.5
    # What remains is due to rounding to bfloat16.
    assert more.patch_scores(spot, "new").max() < 0.1
    assert more.patch_scores(earlier, "new").max() < 0.1
    assert more.extractor is bank.extractor


def test_an_extended_bank_has_the_size_of_the_config(vit: VisionTransformer) -> None:
    few = replace(QUICK.detector, bank_size=30, n_candidates=60)
    bank = fit_memory_bank(vit, FIRST, few, 0)
    more = extend_memory_bank(vit, bank, SPOT, few, 0)
    assert len(bank.names) == len(more.names) == 30
    assert set(more.names) == {"a", "b", "spot"}
    assert [len(layer) for layer in more.vectors] == [30] * len(bank.vectors)
    assert same(more, extend_memory_bank(vit, bank, SPOT, few, 0))


def test_an_image_that_the_bank_contains_is_not_added_again(
    vit: VisionTransformer, bank: MemoryBank
) -> None:
    assert same(extended(vit, bank, FIRST), bank)
    with_spot = ImageSet((*FIRST.names, *SPOT.names), (*FIRST.sources, *SPOT.sources))
    assert same(extended(vit, bank, with_spot), extended(vit, bank, SPOT))


def test_another_image_of_the_same_name_is_renamed(
    vit: VisionTransformer, bank: MemoryBank
) -> None:
    namesake = ImageSet(("a",), SPOT.sources)
    more = extended(vit, bank, namesake)
    (name,) = set(more.names) - {"a", "b"}
    assert name.startswith("a-")
    assert same(extended(vit, more, namesake), more)
