"""What has no like even among reference images makes its likes less suspicious."""

import torch
from torch.nn.functional import normalize

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import fit_detector
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchExtractor, PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from support.quick import picture

VIEW = PatchExtractor(96, None, FeatureSpace((), (), (1,)))


def unit(*shape: int) -> torch.Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(4)), dim=-1)


def test_bank_holds_a_patch_against_the_one_that_allows_most() -> None:
    bank, tokens = unit(20, 6), unit(29, 6)[20:]
    allowed = torch.linspace(0, 0.3, 20)
    made = MemoryBank(VIEW, (bank,), ("a",) * 20, discounts=(allowed,))
    nearest = torch.cdist(tokens, bank).topk(5, largest=False)
    expected = (nearest.values - allowed[nearest.indices]).amin(1).clamp(min=0)
    scores = made.patch_scores([tokens.T.view(6, 3, 3)], "new").flatten()
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)


def test_patches_of_the_image_itself_allow_nothing() -> None:
    bank = unit(4, 6)
    names, allowed = ("a", "a", "a", "b"), torch.tensor([9.0, 9.0, 9.0, 0.1])
    made = MemoryBank(VIEW, (bank,), names, discounts=(allowed,))
    scores = made.patch_scores([bank[:1].T.view(6, 1, 1)], "a").flatten()
    torch.testing.assert_close(scores, (bank[:1] - bank[3:]).norm(dim=1) - 0.1, atol=1e-4, rtol=0)


def test_mutual_scoring_takes_the_allowance_of_the_patch_that_is_nearest() -> None:
    references, tokens = unit(12, 6), unit(16, 6)[12:]
    allowed = torch.linspace(0, 0.2, 12)
    made = MutualScoring(VIEW, (references,), (4, 4, 4), tuple("abc"), (0, 0.67), (allowed,))
    nearest = torch.cdist(tokens, references).view(4, 3, 4).min(2)
    closest = nearest.values.sort(1).indices[:, :2]
    matched = (nearest.indices + torch.tensor([0, 4, 8])).gather(1, closest)
    expected = nearest.values.gather(1, closest) - allowed[matched]
    scores = made.patch_scores([tokens.T.view(6, 2, 2)], "new").flatten()
    torch.testing.assert_close(scores, expected.mean(1).clamp(min=0), atol=1e-4, rtol=0)


def test_both_detectors_learn_what_to_allow(encoder: RegionEncoder) -> None:
    images = ImageSet.from_list([picture("good", 70 + index) for index in range(4)])
    vit, config = encoder.vit, DetectorConfig(resolution=96, layers=(0, 1), reference_discount=0.5)
    for normals in (None, images):
        detector = fit_detector(vit, images, normals, config, 0)
        compared, allowed = detector.vectors[0].float(), detector.discounts[0]
        assert len(detector.discounts) == len(detector.vectors)
        assert allowed.shape == compared.shape[:1]
        if isinstance(detector, MemoryBank):
            owners = torch.tensor([images.names.index(name) for name in detector.names])
            apart = torch.cdist(compared, compared)
            apart[owners[:, None] == owners] = 3
            # Half precision: distances near 0 are rough.
            torch.testing.assert_close(
                allowed, 0.5 * apart.amin(1).clamp(min=0.1), atol=0.03, rtol=0
            )
        else:
            plain = fit_detector(
                vit,
                images,
                None,
                DetectorConfig(resolution=96, layers=(0, 1), reference_discount=0),
                0,
            )
            assert plain.discounts == ()
            seen = PatchReader(vit, plain.extractor, config).read(images, 0)
            scores = plain.patch_scores(seen.features, images.names[0])
            means = torch.stack(detector.discounts).mean(0)[: scores.numel()]
            torch.testing.assert_close(means, 0.5 * scores.flatten(), atol=1e-3, rtol=0)
