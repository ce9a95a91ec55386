"""What the regions of an image say together."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from anomalyncd import (
    UNSEEN,
    UNSURE,
    AnomalyNCD,
    ImageSet,
    Predictions,
)
from anomalyncd.config import AggregationConfig
from anomalyncd.discovery.reliability import Reliability
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.io.tables import write_table
from anomalyncd.regions.table import CodedMasks, Regions
from anomalyncd.results.predictions import RegionClasses, aggregate
from anomalyncd.results.run_folder import read_table
from support.quick import QUICK, SIZE, damage, picture, scored_regions

SIDE = 64


def aggregated(
    images: list[int],
    areas: list[int],
    unseen: list[bool],
    calibrated: list[list[float]],
    **columns: object,
) -> Predictions:
    """Predictions over images whose regions are listed, in order; further columns of them."""
    count, n_images = len(images), max(images) + 1
    probabilities = np.array(calibrated, np.float32)
    regions = Regions(
        np.array(images),
        np.tile([0.0, 0, 8, 8], (count, 1)),
        np.array(areas),
        np.ones(count, np.float32),
        np.ones(count, np.bool_),
    )
    masks, counts = (
        CodedMasks((encode_mask(np.ones((SIDE, SIDE), bool)),) * n_images),
        np.zeros((n_images, 0), np.int64),
    )
    regions = replace(regions, masks=masks, counts=counts, **columns)
    reliability = Reliability(
        probabilities, np.array(unseen, np.float32), np.array(unseen), least_confidence=0.5
    )
    return aggregate(
        Inputs(
            ImageSet.from_list([np.zeros((SIDE, SIDE), np.uint8)] * n_images),
            np.full((n_images, 2), SIDE),
        ),
        regions,
        RegionClasses(np.eye(count, 4, dtype=np.float32), probabilities, reliability),
    )


def test_an_image_has_the_highest_score_of_its_regions_and_the_areas_of_those_found() -> None:
    scores, found = np.array([0.2, 0.9, 0.4, 0.1], np.float32), np.array([1, 1, 1, 0], bool)
    kinds = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    tables = aggregated(
        [0, 0, 0, 1], [100, 30, 50, 70], [False] * 4, kinds, score=scores, found=found
    )
    assert tables.images["score"].tolist() == pytest.approx([0.9, 0.1])
    assert tables.images["n_regions"].tolist() == [3, 0]
    areas = tables.images[["area_0", "area_1", "area_2"]].to_numpy()
    assert areas.tolist() == [[0, 150, 30], [0, 0, 0]]
    assert tables.classes["mean_score"].tolist() == pytest.approx([0.1, 0.3, 0.9])


def test_columns_of_a_manifest_follow_the_image_of_each_region() -> None:
    images = ImageSet.from_list([np.zeros((SIDE, SIDE), np.uint8)] * 2)
    images = replace(images, columns=pd.DataFrame({"lot": ["007", "008"]}))
    regions = scored_regions(np.ones(3))
    masks = CodedMasks((encode_mask(np.ones((SIDE, SIDE), bool)),) * 2)
    counts = np.zeros((2, 0), np.int64)
    regions = replace(regions, image=np.array([0, 0, 1]), masks=masks, counts=counts)
    classes = RegionClasses(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32))
    tables = aggregate(Inputs(images, np.full((2, 2), SIDE)), regions, classes)
    assert tables.images["lot"].tolist() == ["007", "008"]
    assert tables.regions["lot"].tolist() == ["007", "007", "008"]


def test_image_is_unseen_where_unseen_regions_weigh_most() -> None:
    sure = [0.0, 1.0, 0.0]
    tables = aggregated(
        [0, 0, 1, 1, 2],
        [1600, 100, 100, 1600, 400],
        [True, False, True, False, False],
        [sure] * 5,
    )
    assert tables.images["unseen"].tolist() == [True, False, False]
    assert tables.regions["unseen"].tolist() == [True, False, True, False, False]
    assert tables.images["class"].tolist() == [1, 1, 1]
    assert tables.decisions().tolist() == [UNSEEN, 1, 1]
    assert 0.5 < tables.images["novelty"][0] < 1


def test_two_known_kinds_together_do_not_outvote_a_larger_unseen_region() -> None:
    kinds = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    tables = aggregated([0, 0, 0], [400, 400, 484], [False, False, True], kinds)
    weights = np.exp(np.sqrt([400, 400, 484]) / (SIDE / 8))
    assert weights[2] / weights.sum() < 0.5
    assert tables.images["unseen"].tolist() == [True]


def test_confidence_is_that_of_the_class_and_unseen_is_not_unsure() -> None:
    tables = aggregated(
        [0, 1, 2],
        [400] * 3,
        [False, False, True],
        [[0.1, 0.45, 0.45], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3]],
    )
    assert tables.images["confidence"].to_numpy() == pytest.approx([0.45, 0.7, 0.4])
    assert tables.images["unsure"].tolist() == [True, False, False]
    assert tables.decisions().tolist() == [UNSURE, 2, UNSEEN]


def test_new_images_have_one_verdict(tmp_path: Path) -> None:
    fitted = aggregated(
        [0, 1, 2, 3],
        [400] * 4,
        [False, False, True, False],
        [[0.1, 0.45, 0.45], [0.1, 0.2, 0.7], [0.0, 0.08, 0.92], [0.8, 0.1, 0.1]],
    )
    tables = fitted.of_new_images()
    for table in (tables.images, tables.regions):
        assert list(table["decision"]) == ["unsure", "class 2", "unseen", "normal"]
        assert list(table["confidence"].isna()) == [False, False, True, False]
    assert list(fitted.classes["n_images"]) == [1, 1, 2]
    counts = {"normal": 1, "class 1": 0, "class 2": 1, "unseen": 1, "unsure": 1}
    for what in ("n_images", "n_regions"):
        assert dict(zip(tables.classes["class_name"], tables.classes[what], strict=True)) == counts
    assert list(tables.classes["class"]) == [0, 1, 2, UNSEEN, UNSURE]
    assert np.array_equal(tables.decisions(), fitted.decisions())
    write_table(tables.images, tmp_path / "images.csv")
    again = read_table(tmp_path)
    pd.testing.assert_frame_equal(again, tables.images, check_dtype=False)


@pytest.mark.parametrize("rule", ["mean", "score"])
def test_parts_follow_the_rule_of_merging(tiny: Path, rule: Literal["mean", "score"]) -> None:
    names = [("good", "line", "spot")[seed % 3] for seed in range(9)]
    images = [picture(name, seed) for seed, name in enumerate(names)]
    maps = [damage(name, seed).astype(np.float32) for seed, name in enumerate(names)]
    for scores in maps[1::2]:
        scores[SIZE[0] - 14 :, SIZE[1] - 14 :] = 0.7  # A second region, far from the first.
    preset = replace(QUICK, aggregation=AggregationConfig(rule))
    model = AnomalyNCD(3, backbone="tiny", weights=tiny, preset=preset).fit(images, maps=maps)
    for tables in (model.predictions_, model.classify(images, maps=maps)):
        regions = tables.regions
        assert (tables.images["n_regions"] > 1).any()
        weights = regions["score"].clip(lower=1e-9) if rule == "score" else np.ones(len(regions))
        for index in range(3):
            weighed = (regions[f"p_{index}"] * weights).groupby(regions["name"]).sum()
            expected = weighed / regions.assign(weight=weights).groupby("name")["weight"].sum()
            found = tables.images.set_index("name")[f"p_{index}"]
            np.testing.assert_allclose(found, expected[found.index], atol=1e-5)
