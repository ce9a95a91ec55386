"""Maps show each score where its patch lies, and are made anew when anything changes."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.maps import anomaly_map, whole_map, write_anomaly_maps
from anomalyncd.detection.memory_bank import MemoryBank, fit_memory_bank
from anomalyncd.detection.patches import PatchExtractor, PatchFeatures
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from support.quick import QUICK, picture

SIZE = (300, 400)
ROIS = [
    RegionOfInterest((210.0, 140.0), (120, 200), 0.0),
    RegionOfInterest((210.0, 140.0), (120, 200), 0.6),
    RegionOfInterest((190.5, 160.2), (100, 220), -2.2),
    RegionOfInterest((60.0, 190.0), (120, 200), 1.1),
]


def features_of(roi: RegionOfInterest | None) -> PatchFeatures:
    return PatchFeatures([], SIZE, roi)


def random_scores(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).random((rows, columns), np.float32)


def centre_of_mass(scores: np.ndarray) -> np.ndarray:
    """x and y of a map, px of the image."""
    down, right = np.mgrid[: scores.shape[0], : scores.shape[1]] + 0.5
    centre = (scores * right).sum() / scores.sum(), (scores * down).sum() / scores.sum()
    return np.multiply(centre, SIZE[1] / scores.shape[1])


def test_a_map_has_the_area_of_the_config_and_the_aspect_ratio_of_the_image() -> None:
    for roi in (None, *ROIS):
        assert whole_map(random_scores(6, 10), features_of(roi), 120).shape == (104, 139)


def test_a_map_may_have_the_size_of_the_image() -> None:
    scores = random_scores(9, 12)
    expected = cv2.resize(scores, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(whole_map(scores, features_of(None), None), expected)
    assert whole_map(scores, features_of(ROIS[1]), None).shape == SIZE


def test_scores_of_a_whole_image_are_resized() -> None:
    scores = random_scores(9, 12)
    expected = cv2.resize(scores, (139, 104), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(whole_map(scores, features_of(None), 120), expected)


def test_a_region_that_is_the_whole_image_makes_no_difference() -> None:
    scores = random_scores(9, 12)
    of_roi = whole_map(scores, features_of(RegionOfInterest((200.0, 150.0), SIZE)), 120)
    # OpenCV warps in steps of 1/32 px.
    np.testing.assert_allclose(of_roi, whole_map(scores, features_of(None), 120), atol=0.05)


@pytest.mark.parametrize("roi", ROIS)
@pytest.mark.parametrize("patch", [(2, 3), (4, 8)])
def test_scores_lie_where_their_patch_lies(roi: RegionOfInterest, patch: tuple[int, int]) -> None:
    rows, columns = 6, 10
    scores = np.zeros((rows, columns), np.float32)
    scores[patch] = 1
    height, width = roi.size
    centre = ((patch[1] + 0.5) * width / columns, (patch[0] + 0.5) * height / rows, 1)
    x, y = roi.to_image() @ np.array(centre)
    drawn = whole_map(scores, features_of(roi), 150)
    assert centre_of_mass(drawn) == pytest.approx((x, y), abs=2)


@pytest.mark.parametrize("roi", ROIS)
def test_a_dot_that_is_cut_out_returns_to_its_place(roi: RegionOfInterest) -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    x, y = (roi.to_image() @ np.array([130.0, 44.0, 1.0])).tolist()
    cv2.circle(image, (round(x), round(y)), 9, (255, 255, 255), -1)
    cut = roi.cut(image)[..., 0].astype(np.float32) / 255
    columns = round(roi.size[1] / 10)
    scores = cv2.resize(cut, (columns, roi.size[0] // 10), interpolation=cv2.INTER_AREA)
    drawn = whole_map(scores, features_of(roi), 346)
    assert centre_of_mass(drawn) == pytest.approx((x, y), abs=2.5)


@pytest.mark.parametrize("roi", ROIS)
def test_pixels_outside_the_region_have_the_median(roi: RegionOfInterest) -> None:
    scores = random_scores(6, 10)
    drawn = whole_map(scores, features_of(roi), 150)
    down, right = np.mgrid[: drawn.shape[0], : drawn.shape[1]] + 0.5
    positions = np.stack([right, down, np.full_like(down, drawn.shape[1] / SIZE[1])])
    inverse = np.linalg.inv(np.vstack([roi.to_image(), [0, 0, 1]]))
    x, y = np.tensordot(inverse, positions * SIZE[1] / drawn.shape[1], 1)[:2]
    height, width = roi.size
    distance = np.maximum(np.abs(x - width / 2) - width / 2, np.abs(y - height / 2) - height / 2)
    # The outermost patches reach out by up to half a patch, 10 px.
    assert (distance > 14).any()
    assert (drawn[distance > 14] == np.median(scores)).all()
    assert np.mean(drawn[distance < -2] == np.median(scores)) < 0.01


@pytest.mark.parametrize("smoothing", [0.5, 2.0])
def test_scores_are_smoothed(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    patches, vectors = torch.nn.functional.normalize(
        torch.randn(2, 8, 35, generator=generator), dim=1
    )
    bank = MemoryBank(
        PatchExtractor(96, None, FeatureSpace((), (), (1,))), (vectors.T,), ("a",) * 35
    )
    features = PatchFeatures([patches.view(8, 5, 7)], (50, 70), None)
    config = DetectorConfig(smoothing=smoothing, map_size=None)
    scores = bank.patch_scores(features.features, "new").numpy()
    expected = whole_map(cv2.GaussianBlur(scores, (0, 0), smoothing), features, None)
    drawn = anomaly_map(features, bank, config, "new")
    assert np.array_equal(drawn, expected)
    assert drawn.std() < 0.9 * whole_map(scores, features, None).std()


def test_maps_are_made_anew_when_anything_changes(encoder: RegionEncoder, tmp_path: Path) -> None:
    images = ImageSet.from_list([picture("spot", index) for index in range(2)], ["a", "b"])
    config = QUICK.detector
    bank = fit_memory_bank(encoder.vit, images, config, 0)

    def is_used(bank: MemoryBank, config: DetectorConfig, images: ImageSet) -> bool:
        """Whether a map that lies in the folder is used."""
        np.save(tmp_path / "a.npy", np.full((3, 4), 9, np.float16))
        maps = write_anomaly_maps(encoder.vit, images, bank, config, tmp_path)
        return bool((maps[0] == 9).all())

    write_anomaly_maps(encoder.vit, images, bank, config, tmp_path)
    assert is_used(bank, config, images)
    (tmp_path / "b.npy").unlink()
    assert is_used(bank, config, images)
    assert (tmp_path / "b.npy").is_file()
    changed = (
        (replace(bank, discounts=()), config, images),
        (replace(bank, names=("other", *bank.names[1:])), config, images),
        (bank, replace(config, smoothing=0.6), images),
        (bank, config, ImageSet(images.names, (picture("line", 1), images.sources[1]))),
        (bank, config, ImageSet(("a", "c"), images.sources)),
    )
    for other in changed:
        write_anomaly_maps(encoder.vit, images, bank, config, tmp_path)
        assert not is_used(*other)
        assert is_used(*other)


def test_maps_that_were_not_made_here_are_refused(encoder: RegionEncoder, tmp_path: Path) -> None:
    images = ImageSet.from_list([picture("good", 1)])
    bank = fit_memory_bank(encoder.vit, images, QUICK.detector, 0)
    np.save(tmp_path / "mine.npy", np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"mine\.npy' was not made by this command"):
        write_anomaly_maps(encoder.vit, images, bank, QUICK.detector, tmp_path)
    assert (tmp_path / "mine.npy").is_file()
