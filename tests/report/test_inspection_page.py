"""The page over anomaly maps, on tiny images."""

from pathlib import Path

import numpy as np
import pytest

from anomalyncd.config import PRESETS
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.regions.inspection import inspect_maps
from anomalyncd.report.inspection_page import write_inspection
from support.pages import Page, asks_nobody_for_anything, can_be_read_aloud
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


def test_page_shows_each_part_beside_its_map(inputs: Inputs, tmp_path: Path) -> None:
    seen = inspect_maps(inputs, PRESETS["default"])
    path = write_inspection(seen, inputs.images, tmp_path / "new")
    text = path.read_text(encoding="utf-8")
    assert asks_nobody_for_anything(text)
    page = Page(text)
    assert can_be_read_aloud(page)
    words = [image["alt"] for image in page.all("img")]
    assert len(words) == 2 * len(KINDS)
    for name in inputs.images.names:
        assert f"Image {name}, its regions outlined" in words
        assert f"Anomaly map of {name}, its regions outlined" in words
    assert f"{int((~seen.without).sum())} of 4 images" in page.words
    assert "normal images" in page.words
