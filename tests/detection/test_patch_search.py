"""The search by candidates finds what a comparison with all vectors finds."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from anomalyncd.detection import patch_search
from anomalyncd.detection.candidates import N_CANDIDATES
from anomalyncd.detection.feature_space import NEVER, nearest, similarities
from anomalyncd.detection.patch_search import PatchSearch
from anomalyncd.runner.array_search import ArraySearch

N_COMPONENTS = 128
WIDTH = N_COMPONENTS + 72
LENGTHS = (40, 90, 70)


def drawn(count: int, seed: int, width: int = WIDTH) -> Tensor:
    """Unit vectors that mostly vary in some directions, as tokens do, (count, width)."""
    generator = torch.Generator().manual_seed(seed)
    spread = 0.97 ** torch.arange(width)
    turned = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(0)))
    vectors = (torch.randn(count, width, generator=generator) * spread) @ turned[0]
    return normalize(vectors + 0.2 * turned[0][0], dim=1)


VECTORS = drawn(sum(LENGTHS), 1).bfloat16()
PATCHES = drawn(30, 2).T.view(WIDTH, 5, 6)
NONE = torch.zeros(len(VECTORS), dtype=torch.bool)


def products() -> Tensor:
    """Similarities of all vectors to all patches, (N, P)."""
    return similarities(PATCHES, VECTORS.float())


def test_the_nearest_vector_of_each_reference_is_found() -> None:
    values, index = PatchSearch(VECTORS, N_COMPONENTS).nearest_in_each(PATCHES, LENGTHS)
    starts = torch.tensor([0, 40, 130])
    parts = [nearest(part, 1) for part in products().split(LENGTHS)]
    expected = torch.cat([part[0] for part in parts])
    same = index == torch.cat([part[1] for part in parts]) + starts[:, None]
    assert values.dtype == torch.float32
    assert same.float().mean() > 0.9
    # What was missed is hardly nearer, and what was found has its similarity in all coordinates.
    torch.testing.assert_close(values, expected, atol=0.02, rtol=0)
    torch.testing.assert_close(values, products().gather(0, index), atol=1e-5, rtol=0)


@pytest.mark.parametrize("width", [3, 16, N_COMPONENTS])
def test_nothing_is_missed_where_all_coordinates_are_components(width: int) -> None:
    vectors, patches = drawn(50, 3, width).bfloat16(), drawn(20, 4, width).T.view(width, 4, 5)
    values, index = PatchSearch(vectors, N_COMPONENTS).nearest_in_each(patches, (20, 30))
    parts = similarities(patches, vectors).split((20, 30))
    assert torch.equal(index, torch.cat([nearest(part, 1)[1] for part in parts]) + _starts(20))
    torch.testing.assert_close(values, torch.cat([part.amax(0, keepdim=True) for part in parts]))


def _starts(second: int) -> Tensor:
    return torch.tensor([[0], [second]])


@pytest.mark.parametrize("count", [1, 5])
def test_the_nearest_vectors_of_all_are_found_in_their_order(count: int) -> None:
    values, index = PatchSearch(VECTORS, N_COMPONENTS).nearest(PATCHES, count, NONE)
    expected = nearest(products(), count)
    assert torch.equal(index, expected[1])
    torch.testing.assert_close(values, expected[0], atol=1e-5, rtol=0)


def test_vectors_that_are_left_out_are_not_found() -> None:
    left_out = NONE.clone()
    left_out[products().topk(3, dim=0).indices.unique()] = True
    index = PatchSearch(VECTORS, N_COMPONENTS).nearest(PATCHES, 5, left_out)[1]
    assert not left_out[index].any()


def test_where_too_few_vectors_remain_they_never_count() -> None:
    left_out = ~NONE
    left_out[:2] = False
    values, _ = PatchSearch(VECTORS, N_COMPONENTS).nearest(PATCHES, 5, left_out)
    assert (values[:2] > -2.1).all()
    assert (values[2:] == NEVER).all()
    assert PatchSearch(VECTORS[:3], N_COMPONENTS).nearest(PATCHES, 5, NONE[:3])[0].shape == (3, 30)


def test_elsewhere_than_on_the_cpu_all_coordinates_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patch_search, "_by_candidates", lambda patches: False)
    monkeypatch.setattr(patch_search, "principal_directions", None)
    search = PatchSearch(VECTORS, N_COMPONENTS)
    expected = nearest(products(), 5)
    for found, wanted in zip(search.nearest(PATCHES, 5, NONE), expected, strict=True):
        assert torch.equal(found, wanted)
    values, index = search.nearest_in_each(PATCHES, LENGTHS)
    assert torch.equal(values, torch.stack([part.amax(0) for part in products().split(LENGTHS)]))
    assert torch.equal(products().gather(0, index), values)


def test_precision_of_the_backbone_changes_little() -> None:
    search = PatchSearch(VECTORS, N_COMPONENTS)
    rough = search.nearest_in_each(PATCHES.bfloat16(), LENGTHS)[0]
    exact = search.nearest_in_each(PATCHES, LENGTHS)[0]
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0)


@pytest.mark.parametrize("width", [7, WIDTH])
def test_it_finds_the_same_without_pytorch(width: int) -> None:
    vectors, patches = drawn(200, 1, width).bfloat16(), drawn(30, 2, width)
    left_out = torch.arange(200) % 3 == 0
    grid = patches.T.view(width, 5, 6)
    search = PatchSearch(vectors, N_COMPONENTS)
    bare = ArraySearch(vectors.view(torch.int16).numpy().view("uint16"), N_COMPONENTS)
    pairs = [
        (search.nearest_in_each(grid, LENGTHS), bare.nearest_in_each(patches.numpy(), LENGTHS)),
        *(
            (
                search.nearest(grid, count, left_out),
                bare.nearest(patches.numpy(), count, left_out.numpy()),
            )
            for count in (1, N_CANDIDATES)
        ),
    ]
    for (values, index), (bare_values, bare_index) in pairs:
        torch.testing.assert_close(torch.from_numpy(bare_values), values, atol=2e-3, rtol=0)
        assert (torch.from_numpy(bare_index) == index).float().mean() > 0.95
