"""The search by candidates finds what a comparison with all vectors finds."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from anomalyncd.detection import patch_search
from anomalyncd.detection.array_search import BankSearch, ReferenceSearch
from anomalyncd.detection.candidates import N_CANDIDATES, N_COMPONENTS, NEVER
from anomalyncd.detection.feature_space import similarities
from anomalyncd.detection.patch_search import PatchSearch

WIDTH = N_COMPONENTS + 72
LENGTHS = (2000, 4500, 3500)


def drawn(count: int, seed: int, width: int = WIDTH) -> Tensor:
    """Unit vectors of several kinds that mostly vary in some directions, (count, width)."""
    generator = torch.Generator().manual_seed(seed)
    spread = 0.97 ** torch.arange(width)
    of_kinds = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(width, width, generator=of_kinds))[0]
    kinds = torch.randn(40, width, generator=of_kinds) * spread
    kind = torch.randint(len(kinds), (count,), generator=generator)
    noise = torch.randn(count, width, generator=generator) * spread
    return normalize((kinds[kind] + 0.5 * noise) @ turned + 0.2 * turned[0], dim=1)


VECTORS = drawn(sum(LENGTHS), 1).bfloat16()
PATCHES = drawn(30, 2).T.view(WIDTH, 5, 6)
NONE = torch.zeros(len(VECTORS), dtype=torch.bool)


def products() -> Tensor:
    """Similarities of all vectors to all patches, (N, P)."""
    return similarities(PATCHES, VECTORS.float())


def test_the_nearest_vector_of_each_reference_is_found() -> None:
    values, index = PatchSearch(VECTORS, LENGTHS).nearest_in_each(PATCHES)
    starts = torch.tensor([0, 2000, 6500])
    parts = [part.topk(1, dim=0) for part in products().split(LENGTHS)]
    expected = torch.cat([part[0] for part in parts])
    same = index == torch.cat([part[1] for part in parts]) + starts[:, None]
    assert values.dtype == torch.float32
    assert same.float().mean() > 0.9
    # What was missed is hardly nearer, and what was found has its similarity in all coordinates.
    torch.testing.assert_close(values, expected, atol=0.02, rtol=0)
    torch.testing.assert_close(values, products().gather(0, index), atol=1e-5, rtol=0)


@pytest.mark.parametrize("width", [3, 16, N_COMPONENTS])
def test_nothing_is_missed_of_a_few_vectors_whose_coordinates_are_components(width: int) -> None:
    vectors, patches = drawn(500, 3, width).bfloat16(), drawn(20, 4, width).T.view(width, 4, 5)
    values, index = PatchSearch(vectors, (200, 300)).nearest_in_each(patches)
    parts = similarities(patches, vectors).split((200, 300))
    starts = torch.tensor([[0], [200]])
    assert torch.equal(index, torch.cat([part.topk(1, dim=0)[1] for part in parts]) + starts)
    torch.testing.assert_close(values, torch.cat([part.amax(0, keepdim=True) for part in parts]))


def test_a_reference_that_is_far_from_a_patch_has_a_stand_in() -> None:
    far = drawn(1000, 5) * torch.linspace(-1, 1, WIDTH).sign()
    vectors = torch.cat([VECTORS.float(), normalize(far + 2 * far[0], dim=1)]).bfloat16()
    values, index = PatchSearch(vectors, (len(VECTORS), 1000)).nearest_in_each(PATCHES)
    every = similarities(PATCHES, vectors.float())
    torch.testing.assert_close(values, every.gather(0, index), atol=1e-5, rtol=0)
    assert (index[1] >= len(VECTORS)).all()
    # It is no better than the nearest, and better than any one.
    assert (values[1] <= every[len(VECTORS) :].amax(0) + 1e-5).all()
    assert values[1].mean() > every[len(VECTORS) :].mean()


@pytest.mark.parametrize("count", [1, 5])
def test_the_nearest_vectors_of_all_are_found_in_their_order(count: int) -> None:
    values, index = PatchSearch(VECTORS).nearest(PATCHES, count, NONE)
    expected = products().topk(count, dim=0)
    assert torch.equal(index, expected[1])
    torch.testing.assert_close(values, expected[0], atol=1e-5, rtol=0)


def test_vectors_that_are_left_out_are_not_found() -> None:
    left_out = NONE.clone()
    left_out[products().topk(3, dim=0).indices.unique()] = True
    index = PatchSearch(VECTORS).nearest(PATCHES, 5, left_out)[1]
    assert not left_out[index].any()


def test_where_too_few_vectors_remain_they_never_count() -> None:
    left_out = ~NONE
    left_out[:2] = False
    values, _ = PatchSearch(VECTORS).nearest(PATCHES, 5, left_out)
    assert (values[:2] > -2.1).all()
    assert (values[2:] == NEVER).all()
    assert PatchSearch(VECTORS[:3]).nearest(PATCHES, 5, NONE[:3])[0].shape == (3, 30)


def test_equal_vectors_are_found() -> None:
    vectors = VECTORS[:1].expand(1000, -1)
    values, index = PatchSearch(vectors, (400, 600)).nearest_in_each(PATCHES)
    torch.testing.assert_close(values, products()[:1].expand(2, -1), atol=1e-5, rtol=0)
    assert ((index[0] < 400) & (index[1] >= 400)).all()


def test_elsewhere_than_on_the_cpu_all_coordinates_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patch_search, "_by_candidates", lambda patches: False)
    monkeypatch.setattr(patch_search, "ReferenceSearch", None)
    monkeypatch.setattr(patch_search, "BankSearch", None)
    expected = products().topk(5, dim=0)
    for found, wanted in zip(PatchSearch(VECTORS).nearest(PATCHES, 5, NONE), expected, strict=True):
        assert torch.equal(found, wanted)
    values, index = PatchSearch(VECTORS, LENGTHS).nearest_in_each(PATCHES)
    assert torch.equal(values, torch.stack([part.amax(0) for part in products().split(LENGTHS)]))
    assert torch.equal(products().gather(0, index), values)


def test_precision_of_the_backbone_changes_little() -> None:
    search = PatchSearch(VECTORS, LENGTHS)
    rough = search.nearest_in_each(PATCHES.bfloat16())[0]
    exact = search.nearest_in_each(PATCHES)[0]
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0)


@pytest.mark.parametrize("width", [7, WIDTH])
def test_the_line_without_pytorch_finds_the_same(width: int) -> None:
    vectors, patches = drawn(1000, 1, width).bfloat16(), drawn(30, 2, width)
    left_out = torch.arange(1000) % 3 == 0
    grid, bits = patches.T.view(width, 5, 6), vectors.view(torch.int16).numpy().view("uint16")
    lengths = (300, 700)
    found = ReferenceSearch(bits, lengths).nearest(patches.numpy())
    for bare, wanted in zip(
        found, PatchSearch(vectors, lengths).nearest_in_each(grid), strict=True
    ):
        assert torch.equal(torch.from_numpy(bare), wanted)
    for count in (1, N_CANDIDATES):
        bare_found = BankSearch(bits).nearest(patches.numpy(), count, left_out.numpy())
        wanted_found = PatchSearch(vectors).nearest(grid, count, left_out)
        for bare, wanted in zip(bare_found, wanted_found, strict=True):
            assert torch.equal(torch.from_numpy(bare), wanted)
