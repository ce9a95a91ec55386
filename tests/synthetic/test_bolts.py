import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest

from anomalyncd.synthetic.bolt_light import lay_paper, photograph_bolt
from anomalyncd.synthetic.bolts import (
    END,
    HEAD,
    THREAD,
    lay_bolt,
    solid,
    to_image,
)
from anomalyncd.synthetic.generate import make_synthetic_images, synthetic_image
from anomalyncd.synthetic.products import PRODUCTS

BOLTS = PRODUCTS["bolts"]
SMALL = (160, 160)
SEEDS = range(100, 104)


def bolt(kinds, seed, size=None):
    return synthetic_image(kinds, seed, size, "bolts")


@pytest.fixture(scope="module")
def normals():
    return {seed: bolt((), seed)[0] for seed in SEEDS}


def test_there_are_at_least_five_kinds():
    assert len(set(BOLTS.kinds)) >= 5


@pytest.mark.parametrize("kind", BOLTS.kinds)
def test_small_mask_covers_what_changed_and_little_else(kind, normals):
    for seed, normal in normals.items():
        image, mask = bolt((kind,), seed)
        assert image.shape == (*BOLTS.size, 3)
        assert image.dtype == np.uint8
        assert mask.shape == BOLTS.size
        change = np.abs(image.astype(int) - normal).max(axis=2)
        # Both images have the same noise: 5 grey levels are the threshold, 1 is rounding.
        assert change[~mask].max() <= 6
        assert np.mean(change[mask] >= 5) > 0.5
        assert np.quantile(change[mask], 0.9) > 10
        assert 0.0001 < mask.mean() < 0.01


@pytest.mark.parametrize("kind", BOLTS.kinds)
def test_defects_of_a_kind_differ_in_place_and_size(kind):
    masks = [bolt((kind,), seed, SMALL)[1] for seed in range(4)]
    places = [np.argwhere(mask).mean(axis=0).round().tolist() for mask in masks]
    assert len({tuple(place) for place in places}) == 4
    assert len({int(mask.sum()) for mask in masks}) > 1


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        ("bent_thread", THREAD, END),
        ("broken_tip", 180, END + 12),
        ("crushed_thread", THREAD, END),
        ("head_scratch", 0, HEAD),
        ("shank_dent", HEAD, THREAD),
    ],
)
def test_a_kind_is_where_its_name_puts_it(kind, first, last):
    for seed in range(4):
        scene = BOLTS.draw_scene(seed, SMALL)
        made = lay_bolt(scene)
        turned = to_image(made, scene)
        y, x = np.nonzero(bolt((kind,), seed, SMALL)[1])
        middle = np.linalg.solve(turned[:, :2], [x.mean(), y.mean()] - turned[:, 2])
        along = np.interp(middle[0], np.arange(made.size[1]), made.along)
        assert first <= along <= last


def test_the_seed_decides_the_image():
    first, mask = bolt(("rust",), 7, SMALL)
    again, mask_again = bolt(("rust",), 7, SMALL)
    other, _ = bolt(("rust",), 8, SMALL)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert np.abs(first.astype(int) - other).mean() > 1


def test_any_rotation_occurs():
    turns = [BOLTS.draw_scene(seed, SMALL).rotation % 360 for seed in range(400)]
    counts, _ = np.histogram(turns, np.arange(0, 361, 30))
    assert counts.min() > 15


def test_the_table_contains_the_rotation(tmp_path):
    counts = {"n_per_kind": 1, "n_normal": 2, "n_combined": 1, "n_train": 1}
    made = make_synthetic_images(tmp_path / "bolts", size=SMALL, product="bolts", **counts)
    with (made / "images.csv").open(encoding="utf-8", newline="") as table:
        rows = {row["path"]: row for row in csv.DictReader(table)}
    folders = {path.split("/")[1] for path in rows}
    assert folders == {"good", "combined", *BOLTS.kinds}
    assert len({row["rotation"] for row in rows.values()}) == len(rows) == 10
    assert len(list((made / "ground_truth").rglob("*_mask.png"))) == 7


def test_every_kind_fits_on_one_bolt():
    _, mask = bolt(BOLTS.kinds, 0, SMALL)
    assert 0.002 < mask.mean() < 0.04


@pytest.mark.parametrize("size", [(96, 96), (200, 150), (101, 303)])
def test_the_whole_bolt_is_inside_the_image(size):
    for seed in range(10):
        scene = BOLTS.draw_scene(seed, size)
        made = lay_bolt(scene)
        y, x = np.nonzero(solid(made)[1])
        places = to_image(made, scene) @ np.vstack([x, y, np.ones(x.size)])
        assert places.min() > 0
        assert places[0].max() < size[1] - 1
        assert places[1].max() < size[0] - 1


def test_the_light_does_not_turn_with_the_bolt():
    scene = replace(BOLTS.draw_scene(3, SMALL), light=90.0, shift=(0.0, 0.0))
    made, paper = lay_bolt(scene), lay_paper(scene)
    for rotation in (0.0, 180.0):
        turned = replace(scene, rotation=rotation)
        rendering = photograph_bolt(made, paper, turned)
        _, cover = solid(made)
        there = cv2.warpAffine(cover, to_image(made, turned), SMALL[::-1]) > 0.99
        upper, lower = there.copy(), there.copy()
        upper[SMALL[0] // 2 - 1 :] = lower[: SMALL[0] // 2 + 1] = False
        assert rendering[upper].mean() > rendering[lower].mean() + 3
