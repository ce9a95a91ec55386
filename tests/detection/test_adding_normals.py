"""A memory bank takes more normal images."""

from dataclasses import replace

import pytest
import torch

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.detection.memory_bank import MemoryBank, extend_memory_bank, fit_memory_bank
from anomalyncd.detection.patches import PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from support.quick import QUICK, picture

FIRST = ImageSet.from_list([picture("good", 70), picture("good", 71)], ["a", "b"])
ODD = ImageSet.from_list([picture("spot", 5)], ["odd"])


@pytest.fixture
def vit(encoder: RegionEncoder) -> VisionTransformer:
    return encoder.vit


@pytest.fixture
def bank(vit: VisionTransformer) -> MemoryBank:
    return fit_memory_bank(vit, FIRST, QUICK.detector, 0)


def extended(vit: VisionTransformer, bank: MemoryBank, normals: ImageSet) -> MemoryBank:
    return extend_memory_bank(vit, bank, normals, QUICK.detector, 0)


def same(one: MemoryBank, other: MemoryBank) -> bool:
    pairs = zip(one.vectors, other.vectors, strict=True)
    return one.names == other.names and all(torch.equal(*pair) for pair in pairs)


def test_what_was_added_is_normal_and_what_was_there_stays_so(
    vit: VisionTransformer, bank: MemoryBank
) -> None:
    more = extended(vit, bank, ODD)
    reader = PatchReader(vit, bank.extractor, QUICK.detector)
    odd, known = reader.read(ODD, 0).features, reader.read(FIRST, 0).features
    assert bank.patch_scores(odd, "new").max() > 0.5
    # Rounding to bfloat16 is what is left.
    assert more.patch_scores(odd, "new").max() < 0.1
    assert more.patch_scores(known, "new").max() < 0.1
    assert more.extractor is bank.extractor


def test_coreset_over_old_and_new_keeps_to_the_size_that_is_set(vit: VisionTransformer) -> None:
    few = replace(QUICK.detector, bank_size=30, n_candidates=60)
    bank = fit_memory_bank(vit, FIRST, few, 0)
    more = extend_memory_bank(vit, bank, ODD, few, 0)
    assert len(bank.names) == len(more.names) == 30
    assert set(more.names) == {"a", "b", "odd"}
    assert [len(one) for one in more.vectors] == [30] * len(bank.vectors)
    assert same(more, extend_memory_bank(vit, bank, ODD, few, 0))


def test_image_that_is_in_the_bank_is_not_added_twice(
    vit: VisionTransformer, bank: MemoryBank
) -> None:
    assert same(extended(vit, bank, FIRST), bank)
    with_odd = ImageSet((*FIRST.names, *ODD.names), (*FIRST.sources, *ODD.sources))
    assert same(extended(vit, bank, with_odd), extended(vit, bank, ODD))


def test_other_image_of_a_known_name_gets_one_of_its_own(
    vit: VisionTransformer, bank: MemoryBank
) -> None:
    namesake = ImageSet(("a",), ODD.sources)
    more = extended(vit, bank, namesake)
    (name,) = set(more.names) - {"a", "b"}
    assert name.startswith("a-")
    assert same(extended(vit, more, namesake), more)
