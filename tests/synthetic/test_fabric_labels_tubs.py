import cv2
import numpy as np
import pytest

from anomalyncd.synthetic.fabric import lay_cloth
from anomalyncd.synthetic.generate import make_synthetic_images, synthetic_image
from anomalyncd.synthetic.label_defects import LABEL_DEFECTS
from anomalyncd.synthetic.labels import lay_label
from anomalyncd.synthetic.products import PRODUCTS
from anomalyncd.synthetic.tubs import HALF, lay_tub

NEW = ("fabric", "labels", "tubs")
EVERY_KIND = [(product, kind) for product in NEW for kind in PRODUCTS[product].kinds]
SMALL = (128, 160)
SIDES = 4


def tub_sides(seeds):
    return [int(PRODUCTS["tubs"].draw_scene(seed, SMALL).rotation // 90) % SIDES for seed in seeds]


@pytest.mark.parametrize(("product", "kind"), EVERY_KIND)
def test_mask_covers_what_changed_and_little_else(product, kind):
    # The whole print moves, and with it everything that is printed.
    largest = 0.6 if kind == "shift" else 0.06
    for seed in range(4):
        image, mask = synthetic_image((kind,), seed, SMALL, product)
        normal, nothing = synthetic_image((), seed, SMALL, product)
        assert image.shape == (*SMALL, 3)
        assert image.dtype == np.uint8
        assert mask.shape == SMALL
        assert not nothing.any()
        change = np.abs(image.astype(int) - normal).max(axis=2)
        # Both images have the same noise: 5 grey levels are the threshold, 1 is rounding.
        assert change[~mask].max() <= 6
        assert np.mean(change[mask] >= 5) > 0.5
        assert np.quantile(change[mask], 0.9) > 8
        assert 0.0005 < mask.mean() < largest


@pytest.mark.parametrize("product", NEW)
def test_the_seed_decides_the_image(product):
    kind = PRODUCTS[product].kinds[0]
    first, mask = synthetic_image((kind,), 7, SMALL, product)
    again, mask_again = synthetic_image((kind,), 7, SMALL, product)
    other, _ = synthetic_image((kind,), 8, SMALL, product)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert np.abs(first.astype(int) - other).mean() > 1


@pytest.mark.parametrize(
    ("product", "size"), [("fabric", (384, 384)), ("labels", (320, 448)), ("tubs", (384, 384))]
)
def test_default_size(product, size):
    image, mask = synthetic_image((), 1, None, product)
    assert image.shape == (*size, 3)
    assert mask.shape == size


@pytest.mark.parametrize("product", NEW)
@pytest.mark.parametrize("size", [(96, 96), (200, 150), (101, 303)])
def test_every_kind_fits_on_an_image_of_any_size(product, size):
    kinds = PRODUCTS[product].kinds
    image, mask = synthetic_image(kinds, 2, size, product)
    assert image.shape == (*size, 3)
    single = synthetic_image(kinds[:1], 2, size, product)[1]
    assert mask.sum() > single.sum() > 0


@pytest.mark.parametrize(
    ("product", "kind"),
    [(product, kind) for product, kind in EVERY_KIND if product != "tubs" and kind != "shift"],
)
def test_defects_of_a_kind_differ_in_place_and_size(product, kind):
    masks = [synthetic_image((kind,), seed, SMALL, product)[1] for seed in range(6)]
    places = [np.argwhere(mask).mean(axis=0).round().tolist() for mask in masks]
    assert len({tuple(place) for place in places}) == 6
    areas = [int(mask.sum()) for mask in masks]
    assert max(areas) > 1.4 * min(areas)


def test_fabric_fills_the_image_and_its_threads_cross():
    image, _ = synthetic_image((), 3, (200, 200), "fabric")
    halves = (slice(0, 100), slice(100, 200))
    quarters = [image[rows][:, columns] for rows in halves for columns in halves]
    assert np.ptp([quarter.mean() for quarter in quarters]) < 45
    assert min(quarter.std() for quarter in quarters) > 8
    scene = PRODUCTS["fabric"].draw_scene(3, (200, 200))
    warp, weft = lay_cloth(scene).threads
    assert warp.number.max() > 30
    assert weft.number.max() > 30
    assert np.ptp(warp.number[100]) > 10 * np.ptp(warp.number[:, 100])
    assert np.ptp(weft.number[:, 100]) > 10 * np.ptp(weft.number[100])


def test_labels_stay_upright_and_in_place_with_different_numbers():
    scenes = [PRODUCTS["labels"].draw_scene(seed, (320, 448)) for seed in range(30)]
    assert max(abs(scene.rotation) for scene in scenes) <= 0.5
    assert max(np.abs(scene.shift).max() for scene in scenes) < 2
    first, second = (lay_label(scene).ink > 0.5 for scene in scenes[:2])
    changed = first != second
    assert 0.02 < changed.mean() / first.mean() < 0.5
    serial, bars, name = slice(318, 346), slice(375, 466), slice(100, 200)
    assert changed[serial, 100:450].mean() > 0.05
    assert changed[bars, 100:600].mean() > 0.2
    assert changed[name].mean() < 0.01


def test_a_shifted_print_is_the_same_print_elsewhere():
    label = lay_label(PRODUCTS["labels"].draw_scene(4, (320, 448)))
    moved = LABEL_DEFECTS["shift"](label, [], np.random.default_rng(0))
    (x, y), response = cv2.phaseCorrelate(label.ink, moved.ink)
    assert 2.5 * label.unit < np.hypot(x, y) < 9 * label.unit
    assert response > 0.5
    np.testing.assert_array_equal(moved.colour, label.colour)


def test_tubs_show_all_sides_which_look_different():
    counts = np.bincount(tub_sides(range(400)), minlength=SIDES)
    assert counts.min() > 70
    firsts = [tub_sides(range(40)).index(side) for side in range(SIDES)]
    lids = [lay_tub(PRODUCTS["tubs"].draw_scene(seed, SMALL)).rim < 0 for seed in firsts]
    for index, lid in enumerate(lids):
        for other in lids[:index]:
            assert (lid & other).sum() / (lid | other).sum() < 0.98


@pytest.mark.parametrize(
    ("kind", "place"), [("deformed_rim", (-28.0, HALF[1])), ("stain", (6.0, -22.0))]
)
def test_a_kind_returns_at_the_same_place_of_every_tub(kind, place):
    seen = set()
    for seed in range(12):
        scene = PRODUCTS["tubs"].draw_scene(seed, (200, 200))
        tub = lay_tub(scene)
        _, mask = synthetic_image((kind,), seed, (200, 200), "tubs")
        # A deformed rim also changes the wall and the shadow, so its middle is less certain.
        distance = np.hypot(tub.across - place[0], tub.down - place[1])[mask]
        assert np.median(distance) < (30 if kind == "deformed_rim" else 16)
        seen.add(int(scene.rotation // 90) % SIDES)
    assert seen == set(range(SIDES))


def test_the_kinds_of_tubs_may_be_as_frequent_as_good_ones(tmp_path):
    counts = {"n_per_kind": 3, "n_normal": 3, "n_combined": 0, "n_train": 0}
    made = make_synthetic_images(tmp_path / "tubs", size=(96, 96), product="tubs", **counts)
    folders = {folder.name: len(list(folder.glob("*.png"))) for folder in (made / "test").iterdir()}
    assert folders == {"good": 3, "deformed_rim": 3, "stain": 3}
