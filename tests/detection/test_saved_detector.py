"""Products in all poses, from pictures to maps, and from a saved model to the same maps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomalyncd import AnomalyNCD
from anomalyncd.detection.detector import fit_detector
from anomalyncd.detection.maps import anomaly_map, write_anomaly_maps
from anomalyncd.detection.patches import PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.synthetic.generate import synthetic_image
from support.hammers import hammer
from support.quick import QUICK

BOLTS = ImageSet.from_list(
    [synthetic_image(("rust",) * (i % 2), i, (128, 128), "bolts")[0] for i in range(8)]
)
HAMMERS = ImageSet.from_list([hammer(2 * np.pi * i / 12, i % 4 == 0, i) for i in range(12)])


@pytest.mark.parametrize("with_normals", [False, True])
@pytest.mark.parametrize("product", ["hammers", "bolts"])
def test_saved_model_makes_the_same_maps_of_new_parts(
    tiny: Path, encoder: RegionEncoder, tmp_path: Path, product: str, with_normals: bool
) -> None:
    images = HAMMERS if product == "hammers" else BOLTS
    normals = images.select([1, 3]) if with_normals else None
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, precision="fp32")
    model.fit(images.select([0, 2, 4, 5, 6, 7]), normals=normals).save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model")
    new = ImageSet.from_list(
        [hammer(0.9, True, 50), synthetic_image((), 50, (128, 128), "bolts")[0]]
    )
    written = []
    for name, one in (("before", model), ("after", loaded)):
        assert one.model_.detector is not None
        assert (one.model_.detector.extractor.roi_locator is not None) == (product == "hammers")
        folder = tmp_path / name
        written.append(
            write_anomaly_maps(encoder.vit, new, one.model_.detector, QUICK.detector, folder)
        )
    for first, second in zip(*written, strict=True):
        assert np.array_equal(first, second)
    before, after = model.classify(list(new.sources)), loaded.classify(list(new.sources))
    assert np.array_equal(before.probabilities, after.probabilities)


def test_product_in_any_pose_is_looked_at_in_one(encoder: RegionEncoder) -> None:
    detector = fit_detector(encoder.vit, HAMMERS, None, QUICK.detector, 0)
    assert detector.extractor.roi_locator is not None
    assert detector.extractor.roi_locator.rotated
    reader = PatchReader(encoder.vit, detector.extractor, QUICK.detector)
    for angle in (0.4, 2.0, -1.3):
        seen = reader.read(ImageSet.from_list([hammer(angle, False, 70)]), 0)
        assert seen.roi is not None
        assert np.cos(seen.roi.angle - angle) > 0.95
        assert seen.size == (128, 160)


def test_whole_pictures_are_looked_at_where_that_is_asked_for(encoder: RegionEncoder) -> None:
    whole = replace(QUICK.detector, frame="whole")
    detector = fit_detector(encoder.vit, HAMMERS, None, whole, 0)
    assert detector.extractor.roi_locator is None
    seen = PatchReader(encoder.vit, detector.extractor, whole).read(HAMMERS, 1)
    assert seen.roi is None
    assert anomaly_map(seen, detector, whole, HAMMERS.names[1]).shape == (57, 72)


@pytest.mark.parametrize("with_normals", [False, True])
def test_saved_model_keeps_every_option(tiny: Path, tmp_path: Path, with_normals: bool) -> None:
    detector = replace(
        QUICK.detector,
        n_rotations=2,
        map_size=None,
    )
    chosen = replace(QUICK, detector=detector)
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, precision="fp32", preset=chosen)
    normals = HAMMERS.select([9, 10, 11]) if with_normals else None
    model.fit(HAMMERS.select(range(8)), normals=normals).save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model")
    assert loaded.preset == chosen
    if with_normals:
        model.add_normals(HAMMERS.select([8]))
        loaded.add_normals(HAMMERS.select([8]))
    new = [hammer(angle, True, 60) for angle in (0.5, 2.0, 4.0)]
    before, after = model.classify(new), loaded.classify(new)
    assert np.array_equal(before.probabilities, after.probabilities)
    assert np.array_equal(before.images["score"], after.images["score"])
