import csv
import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from anomalyncd.synthetic.generate import make_synthetic_images, synthetic_image
from anomalyncd.synthetic.plate_light import photograph_plate
from anomalyncd.synthetic.plates import lay_plate
from anomalyncd.synthetic.products import PRODUCTS
from anomalyncd.synthetic.scenes import draw_scene

KINDS, PLATE_SIZE = PRODUCTS["plates"].kinds, PRODUCTS["plates"].size
SMALL = (120, 160)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line 3, näxt") / "images"
    return make_synthetic_images(
        folder, n_per_kind=2, n_normal=3, n_combined=2, n_train=1, size=SMALL
    )


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def read_table(folder):
    with (folder / "images.csv").open(encoding="utf-8", newline="") as table:
        return {row["path"]: row for row in csv.DictReader(table)}


def test_there_are_at_least_five_kinds():
    assert len(set(KINDS)) >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_mask_covers_what_changed_and_little_else(kind):
    for seed in range(5):
        image, mask = synthetic_image((kind,), seed)
        normal, nothing = synthetic_image((), seed)
        assert image.shape == (*PLATE_SIZE, 3)
        assert image.dtype == np.uint8
        assert mask.shape == PLATE_SIZE
        assert mask.dtype == bool
        assert not nothing.any()
        change = np.abs(image.astype(int) - normal).max(axis=2)
        # Both images have the same noise: 5 grey levels are the threshold, 1 is rounding.
        assert change[~mask].max() <= 6
        assert np.mean(change[mask] >= 5) > 0.5
        assert 0.0002 < mask.mean() < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_defects_of_a_kind_differ_in_place_and_size(kind):
    masks = [synthetic_image((kind,), seed, SMALL)[1] for seed in range(4)]
    places = [np.argwhere(mask).mean(axis=0).round().tolist() for mask in masks]
    assert len({tuple(place) for place in places}) == 4
    assert len({int(mask.sum()) for mask in masks}) > 1


def test_the_seed_decides_the_image():
    first, mask = synthetic_image(("rust",), 7, SMALL)
    again, mask_again = synthetic_image(("rust",), 7, SMALL)
    other, _ = synthetic_image(("rust",), 8, SMALL)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert np.abs(first.astype(int) - other).mean() > 1


def test_two_kinds_are_in_two_places():
    image, mask = synthetic_image(("rust", "stain"), 3)
    rust = synthetic_image(("rust",), 3)[1]
    assert (mask & rust).sum() > 0.9 * rust.sum()
    assert (mask & ~rust).sum() > 50
    assert image.shape == (*PLATE_SIZE, 3)


def test_every_kind_fits_on_one_plate():
    _, mask = synthetic_image(KINDS, 0, SMALL)
    assert 0.005 < mask.mean() < 0.2


@pytest.mark.parametrize("size", [(96, 96), (320, 320), (200, 150), (96, 300), (301, 403)])
def test_the_plate_is_inside_an_image_of_any_size(size):
    image, mask = synthetic_image(("dent",), 1, size)
    assert image.shape == (*size, 3)
    assert mask.any()
    rim = lay_plate(draw_scene(1, size)).rim
    assert 0.4 < (rim < 0).mean() < 0.8
    border = np.concatenate([rim[0], rim[-1], rim[:, 0], rim[:, -1]])
    assert (border > 0).all()


def test_shading_follows_the_lamp():
    scene = draw_scene(2, PLATE_SIZE)
    plate = lay_plate(scene)
    rendering = photograph_plate(plate, scene).mean(axis=2)
    x, y, _ = scene.towards_lamp
    rows, columns = np.nonzero(np.abs(plate.rim + 1.3) < 1)
    gradient_y, gradient_x = np.gradient(plate.rim)
    outwards = gradient_x[rows, columns] * x + gradient_y[rows, columns] * y
    chamfer = rendering[rows, columns]
    assert chamfer[outwards > 0.5].mean() > chamfer[outwards < -0.5].mean() + 10


def test_layout_is_that_of_mvtec_ad(made):
    expected = {"images.csv", "train/good/000.png"}
    expected |= {f"test/good/{number:03}.png" for number in range(3)}
    for kind in (*KINDS, "combined"):
        expected |= {f"test/{kind}/{number:03}.png" for number in range(2)}
        expected |= {f"ground_truth/{kind}/{number:03}_mask.png" for number in range(2)}
    assert set(digests(made)) == expected
    assert [path.name for path in made.parent.iterdir()] == ["images"]


def test_written_images_and_masks_agree(made):
    for path in (made / "ground_truth").rglob("*.png"):
        with Image.open(path) as opened:
            mask = np.array(opened)
        image_path = made / "test" / path.parent.name / path.name.replace("_mask", "")
        with Image.open(image_path) as opened:
            assert opened.mode == "RGB"
            assert opened.size == SMALL[::-1]
        assert mask.shape == SMALL
        assert set(np.unique(mask)) == {0, 255}


def test_the_table_contains_kinds_light_and_rotation(made):
    table = read_table(made)
    assert set(table) == {path for path in digests(made) if path.startswith(("test", "train"))}
    for path, row in table.items():
        label = path.split("/")[1]
        kinds = row["kinds"].split("+")
        if label == "combined":
            assert len(set(kinds)) == 2
            assert set(kinds) <= set(KINDS)
        else:
            assert kinds == [label]
        assert 0 <= float(row["light"]) < 360
        assert 0 <= float(row["rotation"]) < 360
    assert len({row["light"] for row in table.values()}) > 10


def test_an_image_does_not_depend_on_how_many_are_made(made, tmp_path):
    more = make_synthetic_images(
        tmp_path / "more", n_per_kind=3, n_normal=4, n_combined=3, n_train=2, size=SMALL
    )
    fewer, more_digests = digests(made), digests(more)
    del fewer["images.csv"]
    assert fewer.items() <= more_digests.items()
    assert len(set(more_digests.values())) == len(more_digests)


def test_another_seed_makes_other_images(made, tmp_path):
    counts = {"n_per_kind": 1, "n_normal": 1, "n_combined": 0, "n_train": 0}
    other = digests(make_synthetic_images(tmp_path / "other", size=SMALL, seed=1, **counts))
    same = digests(made)
    assert not any(same[path] == digest for path, digest in other.items())


def test_an_empty_folder_may_exist_and_a_full_one_is_left_alone(tmp_path):
    counts = {"n_per_kind": 0, "n_normal": 1, "n_combined": 0, "n_train": 0}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (make_synthetic_images(empty, size=SMALL, **counts) / "test/good/000.png").is_file()
    before = digests(empty)
    with pytest.raises(FileExistsError, match="is not empty; name a new or empty folder"):
        make_synthetic_images(empty, size=SMALL, seed=1, **counts)
    assert digests(empty) == before


def test_nothing_is_left_when_making_is_interrupted(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("anomalyncd.synthetic.generate.expose", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic_images(tmp_path / "images", size=SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kinds", "seed", "size", "message"),
    [
        (("hole",), 0, SMALL, "defect kind 'hole' is unknown; use some of chip, "),
        ((), -1, SMALL, "seed -1 is negative; use 0 or more"),
        ((), 0, (64, 160), "too small; use at least 96 px"),
    ],
)
def test_invalid_arguments_are_refused(kinds, seed, size, message):
    with pytest.raises(ValueError, match=message):
        synthetic_image(kinds, seed, size)


def test_an_unknown_product_is_refused():
    with pytest.raises(ValueError, match="product 'nuts' is unknown; use one of plates, bolts"):
        synthetic_image((), 0, SMALL, "nuts")


@pytest.mark.parametrize(
    ("product", "brightness", "areas"),
    [
        ("plates", 112.5, [27, 39, 130, 141, 32, 160]),
        ("bolts", 178.1, [41, 58, 14, 9, 14, 5]),
        # Not the labels, whose letters depend on the version of OpenCV.
        ("fabric", 147.8, [53, 27, 100, 285]),
        ("tubs", 146.6, [161, 130]),
    ],
)
def test_images_stay_those_on_which_results_were_measured(product, brightness, areas):
    for kind, area in zip(PRODUCTS[product].kinds, areas, strict=True):
        image, mask = synthetic_image((kind,), 5, SMALL, product)
        assert image.mean() == pytest.approx(brightness, abs=0.3)
        assert mask.sum() == pytest.approx(area, abs=2)


@pytest.mark.parametrize("module", ["generate", "products"])
def test_the_room_imports_nothing_else_of_the_library(module):
    script = (
        f"import sys, anomalyncd.synthetic.{module}\n"
        "print([name for name in sys.modules if name.startswith(('anomalyncd.', 'torch'))"
        " and not name.startswith('anomalyncd.synthetic')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
