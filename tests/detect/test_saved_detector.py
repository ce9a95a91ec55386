"""Products in all poses, from pictures to maps, and from a saved model to the same maps."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalyncd import AnomalyNCD
from anomalyncd.data.made_parts import made_part
from anomalyncd.data.parts import Parts
from anomalyncd.detect.anomaly_maps import anomaly_map, write_anomaly_maps
from anomalyncd.detect.fitting import fit_detector
from anomalyncd.detect.view import Viewer
from anomalyncd.model.region_encoder import RegionEncoder
from conftest import QUICK

BOLTS = Parts.from_list(
    [made_part(("rust",) * (i % 2), i, (128, 128), "bolts")[0] for i in range(8)]
)


def hammer(angle: float, damaged: bool, seed: int) -> np.ndarray:
    """A bright hammer on dark ground, RGB, its head towards an angle; damaged, a spot on it."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(60, 3, (128, 160, 3)).astype(np.float32)
    towards = np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([80, 64]) + rng.integers(-8, 8, 2)
    end, head, spot = (tuple(np.rint(middle + one * towards).astype(int)) for one in (-34, 34, -16))
    cv2.line(pixels, [int(v) for v in end], [int(v) for v in head], (220, 220, 220), 14)
    cv2.circle(pixels, [int(v) for v in head], 15, (220, 220, 220), -1)
    if damaged:
        cv2.circle(pixels, [int(v) for v in spot], 5, (140, 140, 140), -1)
    return pixels.clip(0, 255).astype(np.uint8)


HAMMERS = Parts.from_list([hammer(2 * np.pi * i / 12, i % 4 == 0, i) for i in range(12)])


@pytest.mark.parametrize("with_normals", [False, True])
@pytest.mark.parametrize("product", ["hammers", "bolts"])
def test_saved_model_makes_the_same_maps_of_new_parts(
    tiny: Path, encoder: RegionEncoder, tmp_path: Path, product: str, with_normals: bool
) -> None:
    parts = HAMMERS if product == "hammers" else BOLTS
    normals = parts.select([1, 3]) if with_normals else None
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, precision="fp32")
    model.fit(parts.select([0, 2, 4, 5, 6, 7]), normals=normals).save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model")
    new = Parts.from_list([hammer(0.9, True, 50), made_part((), 50, (128, 128), "bolts")[0]])
    written = []
    for name, one in (("before", model), ("after", loaded)):
        assert one.detector_ is not None
        assert (one.detector_.view.framing is not None) == (product == "hammers")
        folder = tmp_path / name
        written.append(write_anomaly_maps(encoder.vit, new, one.detector_, QUICK.detector, folder))
    for first, second in zip(*written, strict=True):
        assert np.array_equal(first, second)
    before, after = model.inspect(list(new.sources)), loaded.inspect(list(new.sources))
    assert np.array_equal(before.probabilities, after.probabilities)


def test_product_in_any_pose_is_looked_at_in_one(encoder: RegionEncoder) -> None:
    detector = fit_detector(encoder.vit, HAMMERS, None, QUICK.detector, 0)
    assert detector.view.framing is not None
    assert detector.view.framing.turned
    viewer = Viewer(encoder.vit, detector.view, QUICK.detector)
    for angle in (0.4, 2.0, -1.3):
        seen = viewer.look(Parts.from_list([hammer(angle, False, 70)]), 0)
        assert seen.frame is not None
        assert np.cos(seen.frame.angle - angle) > 0.95
        assert seen.size == (128, 160)


def test_whole_pictures_are_looked_at_where_that_is_asked_for(encoder: RegionEncoder) -> None:
    whole = replace(QUICK.detector, frame="whole")
    detector = fit_detector(encoder.vit, HAMMERS, None, whole, 0)
    assert detector.view.framing is None
    seen = Viewer(encoder.vit, detector.view, whole).look(HAMMERS, 1)
    assert seen.frame is None
    assert anomaly_map(seen, detector, whole, HAMMERS.names[1]).shape == (57, 72)
