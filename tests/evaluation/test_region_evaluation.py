"""Classes of regions against true masks that name the kinds of the defects."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.config import Config
from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import evaluate_run
from anomalyncd.evaluation.ground_truth import truth_of_run
from anomalyncd.evaluation.region_evaluation import (
    Kind,
    RegionEvaluation,
    count_touched,
    evaluate_regions,
    image_f1,
    in_order,
    kind_of_region,
)
from anomalyncd.io.json_files import write_json
from anomalyncd.results.run_folder import FORMAT, read_run

SIZE = (40, 60)
UPPER, LOWER, MIDDLE = (0, 0, 10, 10), (0, 20, 10, 30), (20, 20, 30, 30)
"""Boxes: left, top, right, bottom."""
TRUE = {"a": {1: [UPPER], 2: [LOWER]}, "b": {1: [UPPER]}, "c": {2: [UPPER, MIDDLE]}, "d": {}}
"""For each image the places of each kind; `b` also has a speck of kind 2."""
SPECK = (57, 39, 60, 40)
FOUND = [
    ("a", UPPER, "class 1"),
    ("a", LOWER, "class 2"),
    ("b", UPPER, "class 1"),
    ("b", LOWER, "normal"),  # On nothing.
    ("c", UPPER, "class 1"),
    ("d", MIDDLE, "class 2"),  # On nothing.
]
PALETTE = [0, 0, 0, 200, 0, 0, 0, 200, 0] + [90, 0, 90] * 253
KINDS = {"1": Kind(2, 2, 2, "class 1"), "2": Kind(3, 2, 2, "class 2")}


def inside(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)


def values_of(name: str) -> NDArray[np.uint8]:
    """The true mask of an image, whose values are the kinds."""
    values = np.zeros(SIZE, np.uint8)
    for kind, boxes in TRUE[name].items():
        for box in boxes:
            values[inside(box)] = kind
    if name == "b":
        values[inside(SPECK)] = 2
    return values


def write_run(folder: Path, photos: Path, found: list[tuple], step: int = 2) -> Path:
    """A run over the images a to d, whose maps are smaller than the images by a factor."""
    photos.mkdir(parents=True)
    for name in TRUE:
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(photos / f"{name}.png")
        mask = np.zeros(SIZE, np.uint8)
        for of, box, _ in found:
            if of == name:
                mask[inside(box)] = 255
        (folder / "masks").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask[::step, ::step]).save(folder / "masks" / f"{name}.png")
    paths = {name: str(photos / f"{name}.png") for name in TRUE}
    images = pd.DataFrame([(name, path, 1.0, 1, *SIZE) for name, path in paths.items()])
    images.columns = ["name", "path", "score", "n_regions", "height", "width"]
    rows = [(name, paths[name], *box, 9, 1.0, True, of) for name, box, of in found]
    rows.append(("c", paths["c"], *MIDDLE, 9, 1.0, False, "class 2"))  # In place of a region.
    regions = pd.DataFrame(rows)
    sides = ["left", "top", "right", "bottom"]
    regions.columns = ["name", "path", *sides, "area", "score", "found", "class_name"]
    names = ["normal", "class 1", "class 2"]
    regions["class"] = regions["class_name"].map(names.index)
    images["class"], images["class_name"] = 0, "normal"
    classes = pd.DataFrame({"class": range(3), "class_name": names, "normal": [True, False, False]})
    classes[["n_images", "n_regions", "mean_area", "mean_score"]] = 1
    for table in (images, regions):
        table["normal"] = table["class"] == 0
        table[["p_0", "p_1", "p_2"]] = 0.5
    for table, file in ((images, "images"), (regions, "regions"), (classes, "classes")):
        table.to_csv(folder / f"{file}.csv", index=False)
    for file, shape in (("features", (len(rows), 2)), ("counts", (4, 4)), ("normal_scores", (0,))):
        np.save(folder / f"{file}.npy", np.zeros(shape, np.float32))
    record(folder, {"images": str(photos)})
    return folder


def record(folder: Path, inputs: dict[str, str]) -> None:
    rest = {"config": asdict(Config()), "stages": {}, "versions": {"anomalyncd": "0"}}
    write_json(folder / "run.json", {"format": FORMAT, "inputs": inputs, "maps": "given", **rest})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", tmp_path / "photos", FOUND)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Numbered masks; an image without a defect has none."""
    (tmp_path / "truth").mkdir()
    for name in "abc":
        Image.fromarray(values_of(name)).save(tmp_path / "truth" / f"{name}.png")
    return tmp_path / "truth"


def evaluated(run: Path, masks: Path) -> RegionEvaluation:
    opened = read_run(run)
    truth = truth_of_run(opened, masks)
    assert truth is not None
    evaluation = evaluate_regions(opened, truth)
    assert evaluation is not None
    return evaluation


def test_regions_defects_and_images_are_counted(run: Path, masks: Path) -> None:
    evaluation = evaluated(run, masks)
    assert evaluation.scores is not None
    # Regions of kind 1 are in class 1 twice; those of kind 2 are in class 1 and in class 2.
    entropies = np.log(2), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    shared = sum(entropies) - 1.5 * np.log(2)
    assert evaluation.scores.nmi == pytest.approx(2 * shared / sum(entropies))
    assert evaluation.scores.ari == pytest.approx(0)
    assert evaluation.scores.f1 == 0.75
    assert (evaluation.n_regions, evaluation.n_false_alarms) == (4, 2)
    assert evaluation.kinds == KINDS
    # Of five true and five discovered pairs a-1, a-2 and b-1 agree; the normal region is no pair.
    assert evaluation.image_f1 == pytest.approx(0.6)
    assert evaluation.n_images == 4
    written = json.loads(json.dumps(evaluation.to_dict()))
    assert written["regions"] == asdict(evaluation.scores) | {"n": 4, "false_alarms": 2}
    assert written["kinds"]["2"] == {
        "defects": 3,
        "touched": 2,
        "regions": 2,
        "class_name": "class 2",
    }
    assert written["kinds_of_images"] == {"f1": 0.6, "n": 4}


def test_images_without_labels_are_evaluable(run: Path, masks: Path) -> None:
    with pytest.raises(InputError, match="has no class"):
        evaluate_run(run)
    evaluation = evaluate_run(run, masks=masks)
    assert evaluation.scores is None
    assert evaluation.regions == evaluated(run, masks)
    assert set(evaluation.to_dict()) == {"mebin", "regions", "kinds", "kinds_of_images"}


def test_a_run_from_masks_has_classes_to_score(run: Path, masks: Path) -> None:
    np.save(run / "counts.npy", np.zeros((4, 0)))
    evaluation = evaluate_run(run, masks=masks)
    assert evaluation.detection is None
    assert evaluation.regions == evaluated(run, masks)


def test_masks_beside_labelled_images_are_found(run: Path, masks: Path, tmp_path: Path) -> None:
    expected = evaluated(run, masks)
    masks.rename(tmp_path / "photos" / "ground_truth")
    images = pd.read_csv(run / "images.csv")
    images.assign(label=["x", "x", "y", "good"]).to_csv(run / "images.csv", index=False)
    evaluation = evaluate_run(run)
    assert evaluation.regions == expected
    assert {"images", "confusion", "kinds"} <= set(evaluation.to_dict())


@pytest.mark.parametrize(("scale", "step"), [(2, 2), (1, 1), (3, 4)])
def test_masks_may_have_other_sizes(tmp_path: Path, masks: Path, scale: int, step: int) -> None:
    run = write_run(tmp_path / "run", tmp_path / "photos", FOUND, step)
    for path in masks.iterdir():
        large = np.repeat(np.repeat(np.array(Image.open(path)), scale, 0), scale, 1)
        Image.fromarray(large).save(path)
    evaluation = evaluated(run, masks)
    # The speck of three pixels is a defect in a mask twice as large.
    expected = KINDS | ({"2": Kind(4, 2, 2, "class 2")} if scale > 1 else {})
    assert evaluation.kinds == expected
    assert (evaluation.n_false_alarms, evaluation.image_f1) == (2, pytest.approx(0.6))


def test_palettes_count_by_index_and_void_is_no_kind(run: Path, masks: Path) -> None:
    expected = evaluated(run, masks)
    for path in masks.iterdir():
        values = np.array(Image.open(path))
        values[:, 45:55] = 255
        image = Image.fromarray(values)
        image.putpalette(PALETTE)
        image.save(path)
    assert evaluated(run, masks) == expected


def test_masks_of_images_that_exif_turns_are_turned_along(run: Path, masks: Path) -> None:
    expected = evaluated(run, masks)
    exif = Image.Exif()
    exif[0x0112] = 6  # Stored on its side: a quarter turn clockwise makes it upright.
    for name in TRUE:
        stored = Image.fromarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
        stored.save(run.parent / "photos" / f"{name}.png", exif=exif)
    for path in masks.iterdir():
        Image.fromarray(np.rot90(np.array(Image.open(path)))).save(path)
    assert evaluated(run, masks) == expected


def test_several_masks_of_an_image_are_joined(run: Path, masks: Path) -> None:
    expected = evaluated(run, masks)
    values = values_of("a")
    (masks / "a.png").unlink()
    for kind in (1, 2):
        Image.fromarray(values * (values == kind)).save(masks / f"a_{kind}.png")
    assert evaluated(run, masks) == expected
    Image.fromarray(values[:20]).save(masks / "a_2.png")
    with pytest.raises(InputError, match="differ in size"):
        evaluated(run, masks)


def test_ignored_places_hold_no_defect(run: Path, masks: Path, tmp_path: Path) -> None:
    ignored = np.zeros(SIZE, np.uint8)
    ignored[inside(MIDDLE)] = 255
    Image.fromarray(ignored).save(tmp_path / "ignore.png")
    record(run, {"images": "in memory", "ignore": str(tmp_path / "ignore.png")})
    assert evaluated(run, masks).kinds["2"] == Kind(2, 2, 2, "class 2")


def test_images_whose_defects_are_not_marked_do_not_count(run: Path, masks: Path) -> None:
    images = pd.read_csv(run / "images.csv")
    images.assign(label=["x", "x", "good", "x"]).to_csv(run / "images.csv", index=False)
    evaluation = evaluated(run, masks)
    assert (evaluation.n_false_alarms, evaluation.n_images) == (1, 3)
    assert evaluation.image_f1 == pytest.approx(2 * 3 / 9)


def test_regions_on_no_defect_have_no_scores(tmp_path: Path, masks: Path) -> None:
    run = write_run(tmp_path / "run", tmp_path / "photos", [("d", MIDDLE, "class 2")])
    evaluation = evaluated(run, masks)
    assert evaluation.scores is None
    assert evaluation.kinds == {"1": Kind(2, 0, 0, None), "2": Kind(3, 0, 0, None)}
    assert evaluation.to_dict()["regions"] == {
        "nmi": None,
        "ari": None,
        "f1": None,
        "n": 0,
        "false_alarms": 1,
    }
    assert evaluation.image_f1 == 0


def test_the_normal_class_is_an_ordinary_class_of_regions(tmp_path: Path, masks: Path) -> None:
    found = [("a", UPPER, "normal"), ("b", UPPER, "normal"), ("c", UPPER, "class 1")]
    run = write_run(tmp_path / "run", tmp_path / "photos", found)
    evaluation = evaluated(run, masks)
    assert evaluation.scores is not None
    assert evaluation.scores.f1 == 1
    assert evaluation.kinds["1"].class_name == "normal"
    # Of five true pairs only c-2 is discovered.
    assert evaluation.image_f1 == pytest.approx(2 / 6)


@pytest.mark.parametrize("values", [(1, 1), (255, 255), (60, 240), (1, 40)])
def test_masks_without_kinds_are_not_scored(
    run: Path, masks: Path, values: tuple[int, int]
) -> None:
    for path in masks.iterdir():
        pixels = np.array(Image.open(path))
        Image.fromarray(np.array([0, *values], np.uint8)[pixels]).save(path)
    opened = read_run(run)
    truth = truth_of_run(opened, masks)
    assert truth is not None
    assert evaluate_regions(opened, truth) is None
    with pytest.raises(InputError, match=r"has no class.*whose values number the kinds"):
        evaluate_run(run, masks=masks)
    images = pd.read_csv(run / "images.csv")
    images.assign(label=["x", "x", "y", "good"]).to_csv(run / "images.csv", index=False)
    evaluation = evaluate_run(run, masks=masks)
    assert evaluation.regions is None
    assert evaluation.detection is not None


def test_masks_of_other_images_are_refused(run: Path, masks: Path) -> None:
    Image.fromarray(values_of("a").T).save(masks / "a.png")
    with pytest.raises(InputError, match="not turned"):
        evaluated(run, masks)


def shape(name: str, box: tuple[int, int, int, int]) -> dict[str, object]:
    left, top, right, bottom = box
    points = [[left, top], [right, bottom]]
    return {"label": name, "shape_type": "rectangle", "points": points}


def write_labelme(folder: Path, names: dict[int, str]) -> Path:
    folder.mkdir()
    for name in "abc":
        drawn = [shape(names[kind], box) for kind in TRUE[name] for box in TRUE[name][kind]]
        drawn += [shape(names[2], SPECK)] if name == "b" else []
        content = {"shapes": drawn, "imagePath": f"{name}.png"}
        content |= {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_annotations_name_the_kinds(run: Path, masks: Path, tmp_path: Path) -> None:
    expected = evaluated(run, masks)
    annotations = write_labelme(tmp_path / "drawn", {1: "scratch", 2: "dirt"})
    evaluation = evaluated(run, annotations)
    assert list(evaluation.kinds) == ["dirt", "scratch"]
    named = {"dirt": KINDS["2"], "scratch": KINDS["1"]}
    assert evaluation == replace(expected, kinds=named, scores=evaluation.scores)
    assert expected.scores is not None
    assert evaluation.scores is not None
    assert asdict(evaluation.scores) == pytest.approx(asdict(expected.scores))
    whole = evaluate_run(run, masks=annotations)
    assert whole.regions == evaluation
    assert whole.left_out == {"combined": 2}


def test_shapes_of_several_kinds_may_overlap(run: Path, masks: Path, tmp_path: Path) -> None:
    annotations = write_labelme(tmp_path / "drawn", {1: "scratch", 2: "dirt"})
    content = json.loads((annotations / "c.json").read_text(encoding="utf-8"))
    content["shapes"].insert(0, shape("dent", (0, 0, 10, 8)))
    content["shapes"].append(shape("", MIDDLE))
    (annotations / "c.json").write_text(json.dumps(content), encoding="utf-8")
    kinds = evaluated(run, annotations).kinds
    assert list(kinds) == ["dent", "dirt", "no class", "scratch"]
    assert (kinds["dent"], kinds["dirt"]) == (Kind(1, 1, 0, None), KINDS["2"])
    assert kinds["no class"] == Kind(1, 0, 0, None)


def test_a_region_is_of_the_kind_that_covers_most_of_it() -> None:
    found, few, many = np.zeros((3, 10, 20), np.bool_)
    found[:, 2:12] = True
    few[:, 2:5] = few[:, 12:20] = True  # Of these, three columns were found.
    many[:, 8:12] = True
    whole = slice(0, 10), slice(0, 20)
    assert kind_of_region(found, whole, {"1": few, "2": many}) == "2"
    assert kind_of_region(found, (slice(0, 10), slice(0, 9)), {"1": few, "2": many}) == "1"
    assert kind_of_region(found, (slice(0, 10), slice(5, 8)), {"1": few, "2": many}) is None
    assert kind_of_region(found, whole, {}) is None


def test_of_equally_frequent_kinds_the_smaller_value_counts() -> None:
    assert in_order(["dirt", "10", "2", "Dent"]) == ["2", "10", "Dent", "dirt"]
    found, left = np.ones((4, 4), np.bool_), np.zeros((4, 4), np.bool_)
    left[:, :2] = True
    kinds = {"10": left, "2": ~left}
    inside = slice(0, 4), slice(0, 4)
    assert kind_of_region(found, inside, {kind: kinds[kind] for kind in in_order(kinds)}) == "2"


def test_defects_are_connected_over_corners_and_specks_are_none() -> None:
    true, found = np.zeros((2, 10, 10), np.bool_)
    true[0:2, 0:2] = true[2, 2] = True  # One defect.
    true[5:7, 0:2] = True  # Another one.
    true[9, 7:10] = True  # A speck.
    found[2, 2] = found[9, 9] = found[5, 0] = True
    assert count_touched(true, found, [(slice(0, 4), slice(0, 4)), (slice(8, 10),) * 2]) == (2, 1)
    assert count_touched(true, np.zeros((1, 1), np.bool_), []) == (2, 0)


def test_surplus_classes_of_an_image_count_as_wrong() -> None:
    regions = pd.DataFrame({"name": ["a", "a", "a"], "class_name": ["class 1", "class 1", "rest"]})
    assert image_f1({"a": {"1"}}, regions, {"class 1": "1"}) == pytest.approx(2 / 3)
    assert image_f1({"a": set()}, regions[:0], {}) is None
