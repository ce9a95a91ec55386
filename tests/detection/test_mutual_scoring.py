"""Mutual scoring compares each patch with its nearest neighbours in the closest references."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.mutual_scoring import MutualScoring, fit_mutual_scoring
from anomalyncd.detection.patches import PatchExtractor, PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from support.quick import picture

EXTRACTOR = PatchExtractor(96, None, FeatureSpace((), (), (1,)))
NAMES = ("a", "b", "c")
ROUNDED = 0.01
"""Distances that are not near 0 change less when vectors are rounded to bfloat16."""
IMAGES = ImageSet.from_list([picture("good", 70 + index) for index in range(4)])


def unit(*shape: int) -> Tensor:
    vectors = torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))
    return normalize(vectors, dim=-1)


def scores_of(scoring: MutualScoring, patches: Tensor, name: str = "new") -> Tensor:
    """Scores of patches (N, D) that lie in one row."""
    return scoring.patch_scores([patches.T[:, None]], name).flatten()


def test_a_score_is_the_mean_over_the_closest_references() -> None:
    references, patches = unit(12, 16), unit(4, 16)
    scoring = MutualScoring(EXTRACTOR, (references.bfloat16(),), (4, 4, 4), NAMES, (0, 0.67))
    nearest = torch.cdist(patches, references).view(4, 3, 4).amin(2)
    expected = nearest.sort(1).values[:, :2].mean(1)
    torch.testing.assert_close(scores_of(scoring, patches), expected, atol=ROUNDED, rtol=0)


def test_references_may_differ_in_their_number_of_patches() -> None:
    references, patches = unit(9, 16), unit(4, 16)
    scoring = MutualScoring(EXTRACTOR, (references.bfloat16(),), (2, 6, 1), NAMES, (0.3, 1))
    distances = torch.cdist(patches, references)
    nearest = torch.stack([one.amin(1) for one in distances.split((2, 6, 1), dim=1)], dim=1)
    expected = nearest.sort(1).values[:, 1:].mean(1)
    torch.testing.assert_close(scores_of(scoring, patches), expected, atol=ROUNDED, rtol=0)


def test_layers_are_averaged_and_rows_and_columns_stay() -> None:
    references, patches = unit(12, 16), unit(6, 16)
    scoring = MutualScoring(
        EXTRACTOR, (references.bfloat16(), -references.bfloat16()), (4, 4, 4), NAMES, (0, 1)
    )
    grid = patches.T.view(16, 2, 3)
    matches = scoring.matches([grid, grid], "new")
    first, second = (of_layer.scores(scoring.closest).view(2, 3) for of_layer in matches)
    assert not torch.equal(first, second)
    assert torch.equal(scoring.patch_scores([grid, grid], "new"), (first + second) / 2)
    expected = _mean_distance(patches[4:5], references)
    torch.testing.assert_close(first.flatten()[4:5], expected, atol=ROUNDED, rtol=0)


def _mean_distance(patches: Tensor, references: Tensor) -> Tensor:
    return torch.cdist(patches, references).view(len(patches), 3, 4).amin(2).mean(1)


def test_an_image_is_not_compared_with_itself() -> None:
    references = unit(12, 16)
    scoring = MutualScoring(EXTRACTOR, (references.bfloat16(),), (4, 4, 4), NAMES, (0, 0.5))
    patches = references[4:8]
    nearest = torch.cdist(patches, references).view(4, 3, 4).amin(2)
    expected = nearest[:, [0, 2]].amin(1)
    torch.testing.assert_close(scores_of(scoring, patches, "b"), expected, atol=ROUNDED, rtol=0)
    assert scores_of(scoring, patches, "new").max() < expected.min()


def test_the_very_closest_references_are_left_out() -> None:
    """A second image of a damaged product does not make the damage normal."""
    normal = unit(1, 16).repeat(4, 1)
    damaged = normal.clone()
    damaged[2] = -normal[2]
    references = torch.cat([*[normal] * 20, damaged])
    names = tuple(f"{index}" for index in range(21))

    def scores(first: float, last: float) -> Tensor:
        closest = (first, last)
        return scores_of(
            MutualScoring(EXTRACTOR, (references.bfloat16(),), (4,) * 21, names, closest), damaged
        )

    torch.testing.assert_close(scores(0, 0.05), torch.zeros(4), atol=5 * ROUNDED, rtol=0)
    assert scores(0, 0.2)[2] < 1.6
    torch.testing.assert_close(
        scores(0.05, 0.2), torch.tensor([0, 0, 2.0, 0]), atol=5 * ROUNDED, rtol=0
    )


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("closest", [(0, 0.01), (0.99, 1)])
def test_at_least_one_reference_is_compared(closest: tuple[float, float], count: int) -> None:
    references, patches = unit(count, 16), unit(4, 16)
    names = tuple(f"{index}" for index in range(count))
    scoring = MutualScoring(EXTRACTOR, (references.bfloat16(),), (1,) * count, names, closest)
    ordered = torch.cdist(patches, references).sort(1).values
    expected = ordered[:, 0 if closest[0] == 0 else -1]
    torch.testing.assert_close(scores_of(scoring, patches), expected, atol=ROUNDED, rtol=0)


def test_the_discount_of_the_nearest_neighbour_is_subtracted() -> None:
    references, patches = unit(12, 6), unit(16, 6)[12:]
    discounts = torch.linspace(0, 0.2, 12)
    scoring = MutualScoring(
        EXTRACTOR, (references.bfloat16(),), (4, 4, 4), NAMES, (0, 0.67), (discounts,)
    )
    nearest = torch.cdist(patches, references).view(4, 3, 4).min(2)
    closest = nearest.values.sort(1).indices[:, :2]
    matched = (nearest.indices + torch.tensor([0, 4, 8])).gather(1, closest)
    expected = (nearest.values.gather(1, closest) - discounts[matched]).mean(1).clamp(min=0)
    assert (expected > 0).any()
    torch.testing.assert_close(scores_of(scoring, patches), expected, atol=ROUNDED, rtol=0)


def test_discounts_of_an_image_do_not_count_for_itself() -> None:
    references = unit(12, 16)
    discounts = torch.tensor([0.0] * 4 + [9.0] * 4 + [0.0] * 4)
    scoring = MutualScoring(
        EXTRACTOR, (references.bfloat16(),), (4, 4, 4), NAMES, (0, 1), (discounts,)
    )
    without = replace(scoring, discounts=())
    patches = references[4:8]
    assert torch.equal(scores_of(scoring, patches, "b"), scores_of(without, patches, "b"))


def test_discounts_are_a_share_of_the_score_of_each_reference_patch(encoder: RegionEncoder) -> None:
    config = DetectorConfig(resolution=96, layers=(0, 1), reference_discount=0.5)
    without = replace(config, reference_discount=0)
    scoring = fit_mutual_scoring(encoder.vit, IMAGES, config, 0)
    plain = fit_mutual_scoring(encoder.vit, IMAGES, without, 0)
    assert plain.discounts == ()
    assert [len(layer) for layer in scoring.discounts] == [len(layer) for layer in scoring.vectors]
    reader = PatchReader(encoder.vit, plain.extractor, config)
    scores = [
        plain.patch_scores(reader.read(IMAGES, index).features, name).flatten()
        for index, name in enumerate(IMAGES.names)
    ]
    mean_discounts = torch.stack(scoring.discounts).mean(0)
    torch.testing.assert_close(mean_discounts, 0.5 * torch.cat(scores), atol=1e-3, rtol=0)
    assert mean_discounts.max() > 0.05


def test_references_are_drawn_from_the_images(encoder: RegionEncoder) -> None:
    config = DetectorConfig(resolution=96, layers=(0, 1), n_references=2)
    drawn = [fit_mutual_scoring(encoder.vit, IMAGES, config, seed).names for seed in range(8)]
    assert all(len(names) == 2 and set(names) <= set(IMAGES.names) for names in drawn)
    assert len(set(drawn)) > 1
    assert fit_mutual_scoring(encoder.vit, IMAGES, config, 3).names == drawn[3]


def test_a_single_image_is_refused(encoder: RegionEncoder) -> None:
    with pytest.raises(InputError, match="give two or more, or `maps`"):
        fit_mutual_scoring(encoder.vit, IMAGES.select([0]), DetectorConfig(layers=(0,)), 0)
