"""The page about anomaly maps, on tiny images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomalyncd.config import PRESETS
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.regions.inspection import inspect_maps
from anomalyncd.report.inspection_page import select_images, write_inspection
from support.anomaly_maps import N_IMAGES, SIDE, batch_of_maps
from support.pages import Page, can_be_read_aloud, is_self_contained
from support.quick import SIZE, damage, picture

KINDS = ("good", "line", "spot", "spot")


@pytest.fixture
def inputs() -> Inputs:
    pictures = [picture(kind, seed) for seed, kind in enumerate(KINDS)]
    rng = np.random.default_rng(0)
    maps = [
        damage(kind, seed) + rng.random(SIZE, np.float32) / 4 for seed, kind in enumerate(KINDS)
    ]
    return check_inputs(pictures, maps=maps, normals=pictures[:1], normal_maps=maps[:1])


def test_page_shows_each_image_beside_its_map(inputs: Inputs, tmp_path: Path) -> None:
    inspection = inspect_maps(inputs, PRESETS["default"])
    path = write_inspection(inspection, inputs.images, tmp_path / "new")
    text = path.read_text(encoding="utf-8")
    assert is_self_contained(text)
    page = Page(text)
    assert can_be_read_aloud(page)
    descriptions = [image["alt"] for image in page.all("img")]
    assert len(descriptions) == 2 * len(KINDS)
    for name in inputs.images.names:
        assert f"Image {name}, its regions outlined" in descriptions
        assert f"Anomaly map of {name}, its regions outlined" in descriptions
    assert f"{int((~inspection.without_region).sum())} of 4 images" in page.words
    assert "normal images" in page.words
    peak = inspection.score_range.background_peak
    assert f"no region up to {peak:.3g}" in page.words


def test_images_at_the_border_between_region_and_none_are_selected() -> None:
    pictures = [np.zeros((SIDE, SIDE, 3), np.uint8)] * N_IMAGES
    inspection = inspect_maps(check_inputs(pictures, maps=batch_of_maps()), PRESETS["default"])
    with_region, without_region = select_images(inspection)
    ranking = np.argsort(-inspection.maxima, kind="stable").tolist()
    assert with_region[0] == ranking[0]
    assert with_region[-4:] == ranking[8:12]
    assert without_region[:4] == ranking[12:16]
    assert without_region[-1] == ranking[-1]
    assert select_images(replace(inspection, n_regions=np.ones(N_IMAGES, int)))[1] == []
