"""Patches of a plain background neither score nor vouch for others, where that is asked for."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from anomalyncd.detection.fitting import fit_detector
from anomalyncd.detection.maps import anomaly_map
from anomalyncd.detection.patches import PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from support.hammers import hammer
from support.quick import QUICK, picture

HAMMERS = ImageSet.from_list([hammer(0.6 * i, False, i) for i in range(10)])


@pytest.mark.parametrize("frame", ["product", "whole"])
@pytest.mark.parametrize("with_normals", [False, True])
def test_dirt_beside_the_product_does_not_count(
    encoder: RegionEncoder, with_normals: bool, frame: str
) -> None:
    pixels = hammer(0.0, True, 40)
    corner = (slice(0, 24), slice(0, 24))
    cv2.circle(pixels, (10, 10), 8, (250, 90, 90), -1)
    new = ImageSet.from_list([pixels], ["new"])
    sums = {}
    for background in ("kept", "masked"):
        config = replace(QUICK.detector, background=background, frame=frame)
        normals = HAMMERS if with_normals else None
        detector = fit_detector(encoder.vit, HAMMERS, normals, config, 0)
        seen = PatchReader(encoder.vit, detector.view, config).look(new, 0)
        drawn = cv2.resize(anomaly_map(seen, detector, config, "new"), (160, 128))
        sums[background] = drawn[corner].max(), drawn[44:84, 40:120].max(), len(detector.tensors[0])
    assert sums["kept"][0] > 0
    assert sums["masked"][0] == 0
    assert sums["masked"][1] > 0
    assert sums["masked"][2] < sums["kept"][2]


def test_picture_without_background_is_scored_everywhere(encoder: RegionEncoder) -> None:
    plates = ImageSet.from_list([picture("good", seed) for seed in range(6)])
    config = replace(QUICK.detector, background="masked")
    detector = fit_detector(encoder.vit, plates, None, config, 0)
    assert detector.view.product is None
    detector = fit_detector(encoder.vit, HAMMERS, None, config, 0)
    assert detector.view.product is not None
    empty = ImageSet.from_list([np.full((128, 160, 3), 60, np.uint8)])
    seen = PatchReader(encoder.vit, detector.view, config).look(empty, 0)
    drawn = anomaly_map(seen, detector, config, "empty")
    assert (drawn > 0).mean() > 0.5
