"""What a detector looks at, and where its scores lie in the picture."""

import cv2
import numpy as np
import pytest
import torch

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.detection.maps import whole_map
from anomalyncd.detection.patches import PatchFeatures

SIZE = (300, 400)
FRAMES = [
    RegionOfInterest((210.0, 140.0), (120, 200), 0.0),
    RegionOfInterest((210.0, 140.0), (120, 200), 0.6),
    RegionOfInterest((190.5, 160.2), (100, 220), -2.2),
    RegionOfInterest((60.0, 190.0), (120, 200), 1.1),
]


def seen(frame: RegionOfInterest | None, size: tuple[int, int] = SIZE) -> PatchFeatures:
    return PatchFeatures([], size, frame)


def random_scores(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).random((rows, columns), np.float32)


def test_map_has_the_area_that_was_asked_for_and_the_aspect_of_the_picture() -> None:
    for frame in (None, *FRAMES):
        assert whole_map(random_scores(6, 10), seen(frame), 120).shape == (104, 139)


def test_map_without_a_frame_is_resized() -> None:
    scores = random_scores(9, 12)
    expected = cv2.resize(scores, (139, 104), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(whole_map(scores, seen(None), 120), expected)


def test_frame_of_the_whole_picture_makes_no_difference() -> None:
    scores = random_scores(9, 12)
    framed = whole_map(scores, seen(RegionOfInterest((200.0, 150.0), SIZE)), 120)
    # OpenCV warps in steps of 1/32 px.
    np.testing.assert_allclose(framed, whole_map(scores, seen(None), 120), atol=0.05)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("patch", [(2, 3), (4, 8)])
def test_scores_lie_where_their_patch_does(frame: RegionOfInterest, patch: tuple[int, int]) -> None:
    rows, columns = 6, 10
    scores = np.zeros((rows, columns), np.float32)
    scores[patch] = 1
    height, width = frame.size
    middle = ((patch[1] + 0.5) * width / columns, (patch[0] + 0.5) * height / rows, 1)
    x, y = frame.to_image() @ np.array(middle)
    drawn = whole_map(scores, seen(frame), 150)
    per_pixel = SIZE[1] / drawn.shape[1]
    down, right = np.mgrid[: drawn.shape[0], : drawn.shape[1]] + 0.5
    found = (drawn * right).sum() / drawn.sum(), (drawn * down).sum() / drawn.sum()
    assert np.multiply(found, per_pixel) == pytest.approx((x, y), abs=2)


@pytest.mark.parametrize("frame", FRAMES)
def test_what_is_cut_out_comes_back_to_its_place(frame: RegionOfInterest) -> None:
    """A dot in the picture, cut, shrunk to patches, and drawn as a map."""
    image = np.zeros((*SIZE, 3), np.uint8)
    x, y = (frame.to_image() @ np.array([130.0, 44.0, 1.0])).tolist()
    cv2.circle(image, (round(x), round(y)), 9, (255, 255, 255), -1)
    cut = frame.cut(image)[..., 0].astype(np.float32) / 255
    columns = round(frame.size[1] / 10)
    scores = cv2.resize(cut, (columns, frame.size[0] // 10), interpolation=cv2.INTER_AREA)
    drawn = whole_map(scores, seen(frame), 346)
    down, right = np.mgrid[: drawn.shape[0], : drawn.shape[1]] + 0.5
    found = (drawn * right).sum() / drawn.sum(), (drawn * down).sum() / drawn.sum()
    assert np.multiply(found, SIZE[1] / drawn.shape[1]) == pytest.approx((x, y), abs=2.5)


@pytest.mark.parametrize("frame", FRAMES)
def test_median_stands_around_the_frame(frame: RegionOfInterest) -> None:
    scores = random_scores(6, 10)
    drawn = whole_map(scores, seen(frame), 150)
    down, right = np.mgrid[: drawn.shape[0], : drawn.shape[1]] + 0.5
    positions = np.stack([right, down, np.full_like(down, drawn.shape[1] / SIZE[1])])
    inverse = np.linalg.inv(np.vstack([frame.to_image(), [0, 0, 1]]))
    x, y = np.tensordot(inverse, positions * SIZE[1] / drawn.shape[1], 1)[:2]
    height, width = frame.size
    away = np.maximum(np.abs(x - width / 2) - width / 2, np.abs(y - height / 2) - height / 2)
    # The outermost patches reach out by up to half a patch, 10 px.
    assert (away > 14).any()
    assert (drawn[away > 14] == np.median(scores)).all()
    assert np.mean(drawn[away < -2] == np.median(scores)) < 0.01


def test_map_may_be_as_large_as_the_picture() -> None:
    scores = random_scores(9, 12)
    expected = cv2.resize(scores, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(whole_map(scores, seen(None), None), expected)
    assert whole_map(scores, seen(FRAMES[1]), None).shape == SIZE


def test_vectors_are_those_of_all_patches_row_by_row() -> None:
    features = torch.arange(24.0).view(4, 2, 3)
    assert torch.equal(PatchFeatures([features], SIZE, None).vectors()[0], features.view(4, 6).T)
