"""What resembles a rare normal patch scores higher than what resembles a common one."""

import torch
from torch.nn.functional import normalize

from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.patches import PatchExtractor

VIEW = PatchExtractor(96, None, FeatureSpace((), (), (1,)))


def unit(*shape: int) -> torch.Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(9)), dim=-1)


def scores(bank: torch.Tensor, names: tuple[str, ...], tokens: torch.Tensor, name: str, count: int):
    made = MemoryBank(VIEW, (bank,), names, None, count)
    return made.patch_scores([tokens.T.view(tokens.shape[1], 1, -1)], name).flatten()


def test_each_patch_is_weighted_as_patchcore_weights_the_highest() -> None:
    bank, tokens = unit(30, 16), unit(35, 16)[30:]
    expected = []
    for token in tokens:
        apart = (bank - token).norm(dim=1)
        nearest = int(apart.argmin())
        relatives = (bank - bank[nearest]).norm(dim=1).topk(4, largest=False).indices
        share = apart[nearest].exp() / apart[relatives].exp().sum()
        expected.append((1 - share) * apart[nearest])
    weighted = scores(bank, ("a",) * 30, tokens, "new", 4)
    torch.testing.assert_close(weighted, torch.stack(expected), atol=1e-4, rtol=0)


def test_likeness_to_a_rare_patch_counts_more() -> None:
    common = normalize(torch.eye(8)[0] + unit(10, 8) / 50, dim=1)
    bank = torch.cat([common, torch.eye(8)[None, 1]])
    tokens = normalize(torch.stack([common[0], bank[-1]]) + 0.4 * torch.eye(8)[7], dim=1)
    plain = scores(bank, ("a",) * 11, tokens, "new", 0)
    weighted = scores(bank, ("a",) * 11, tokens, "new", 5)
    assert weighted[1] / plain[1] > 1.05 * weighted[0] / plain[0]


def test_patches_of_the_image_itself_have_no_say() -> None:
    bank, names = unit(12, 16), ("a",) * 6 + ("b",) * 6
    own = scores(bank, names, bank[:2], "a", 12)
    assert own.isfinite().all()
    assert own.min() > 0.1
    # Twelve relatives, six of them its own, as far as the nearest.
    apart = torch.cdist(bank[:2], bank[6:])
    nearest = apart.amin(1)
    sums = 6 * nearest.exp() + apart.exp().sum(1)
    torch.testing.assert_close(own, (1 - nearest.exp() / sums) * nearest, atol=1e-4, rtol=0)


def test_bank_of_one_patch_is_not_weighted() -> None:
    bank, tokens = unit(1, 8), unit(4, 8)[2:]
    once = scores(bank, ("a",), tokens, "new", 9)
    assert torch.equal(once, scores(bank, ("a",), tokens, "new", 0))
