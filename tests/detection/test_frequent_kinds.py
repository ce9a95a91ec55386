"""A kind that a third of the images show at one place is found, and nothing else is."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection import mutual_scoring
from anomalyncd.detection.detector import detector_warnings
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.mutual_scoring import MutualScoring, fit_mutual_scoring
from anomalyncd.detection.patches import PatchExtractor, PatchFeatures
from anomalyncd.images.image_set import ImageSet

SIDE, DIMENSION, COUNT = 8, 24, 40
EXTRACTOR = PatchExtractor(112, None, FeatureSpace((), (), (1,)))
PLACE = (slice(None), slice(3, 5), slice(2, 4))
KIND = torch.eye(DIMENSION)[-1][:, None, None]


def grid(seed: int, poses: int = 1) -> Tensor:
    """Patches of a normal image, (D, rows, columns); the product has its pose from the seed."""
    product = torch.Generator().manual_seed(seed % poses)
    own = torch.Generator().manual_seed(1000 + seed)
    shape = (DIMENSION, SIDE, SIDE)
    patches = torch.randn(shape, generator=product) + 0.3 * torch.randn(shape, generator=own)
    patches[-1] = 0
    return normalize(patches, dim=0)


def with_kind(patches: Tensor) -> Tensor:
    """The same image with the kind at its place."""
    changed = patches.clone()
    changed[PLACE] = normalize(KIND + 0.2 * patches[PLACE], dim=0)
    return changed


def fitted(
    grids: list[Tensor], monkeypatch: pytest.MonkeyPatch, *, switched_on: bool = True
) -> MutualScoring:
    images = ImageSet.from_list([np.zeros((8, 8, 3), np.uint8)] * len(grids))
    features = [PatchFeatures([patches], (8, 8), None) for patches in grids]
    monkeypatch.setattr(mutual_scoring, "fit_patch_extractor", lambda *_: (EXTRACTOR, features))
    config = DetectorConfig(n_references=len(grids), frequent_kinds=switched_on)
    return fit_mutual_scoring(cast(VisionTransformer, None), images, config, 0)


def shown_by(n_images: int, count: int = COUNT, poses: int = 1) -> list[Tensor]:
    grids = [grid(seed, poses) for seed in range(count)]
    return [with_kind(patches) if i < n_images else patches for i, patches in enumerate(grids)]


@pytest.mark.parametrize("n_images", [8, 11, 14])
def test_a_frequent_kind_is_found(n_images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(n_images), monkeypatch)
    assert scoring.frequent_kinds is not None
    found = scoring.frequent_kinds.n_images
    assert abs(found - n_images) <= 1
    assert f"{found} of 40 images" in detector_warnings(scoring)[0]


def test_only_its_patches_score_higher(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(10), monkeypatch)
    without = replace(scoring, frequent_kinds=None)
    new = with_kind(grid(500))
    usual, raised = (one.patch_scores([new], "new") for one in (without, scoring))
    at_place = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    at_place[PLACE[1:]] = True
    assert usual[at_place].max() < usual[~at_place].max()
    assert raised[at_place].min() > 1.5 * raised[~at_place].max()
    beside = torch.ones(SIDE, SIDE, dtype=torch.bool)
    beside[2:6, 1:5] = False
    assert torch.equal(usual[beside], raised[beside])


def test_a_normal_image_keeps_its_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(10), monkeypatch)
    scores = scoring.patch_scores([grid(500)], "new")
    assert torch.equal(
        scores, replace(scoring, frequent_kinds=None).patch_scores([grid(500)], "new")
    )


@pytest.mark.parametrize("n_images", [0, 1, 2])
def test_rare_kinds_are_not_frequent(n_images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(n_images), monkeypatch)
    assert scoring.frequent_kinds is None
    assert detector_warnings(scoring) == []


def test_what_most_images_show_counts_as_normal(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(30), monkeypatch)
    assert scoring.frequent_kinds is not None
    assert abs(scoring.frequent_kinds.n_images - 10) <= 1


def test_a_product_in_three_poses_has_no_frequent_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(shown_by(0, poses=3), monkeypatch).frequent_kinds is None


def test_a_place_that_differs_on_every_image_is_no_frequent_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grids = shown_by(0)
    for seed, patches in enumerate(grids):
        patches[PLACE] = grid(2000 + seed, 10_000)[PLACE]
    assert fitted(grids, monkeypatch).frequent_kinds is None


def test_a_frequent_kind_is_found_in_each_of_two_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(shown_by(14, poses=2), monkeypatch).frequent_kinds is not None


def test_few_images_are_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(shown_by(5, count=19), monkeypatch).frequent_kinds is None
    assert fitted(shown_by(5, count=20), monkeypatch).frequent_kinds is not None


def test_the_config_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(10), monkeypatch, switched_on=False)
    assert scoring.frequent_kinds is None


def test_it_is_saved_with_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = fitted(shown_by(10), monkeypatch)
    restored = MutualScoring.from_state(scoring.state())
    new = [with_kind(grid(500))]
    assert torch.equal(restored.patch_scores(new, "new"), scoring.patch_scores(new, "new"))
