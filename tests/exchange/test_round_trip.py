"""Labels that are written in any format are read back with the same classes and boxes."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.exchange.labelled import CLASS_COLUMNS, LabelledRegions, marked_boxes
from anomalyncd.exchange.matching import match_regions
from anomalyncd.exchange.reading import read_labels
from anomalyncd.exchange.writing import LABEL_FORMATS, write_labels
from anomalyncd.inputs.annotations import read_shapes

HEIGHT, WIDTH = 60, 80
NAMES = ("a/b", "c d", "\u00fcbel/gr\u00f6\u00dfe", "=1+1", "v1.2", "100%", "empty")
"""`empty` has no region."""
CLASSES = pd.DataFrame(
    [
        (0, "normal", "", "#808080", "not a defect", ""),
        (1, "Scratch", "long", "#ff0000", "defect", "high"),
        (2, "scratch", "short", "#00ff00", "defect", ""),
        (3, "\u00f6lig <& \"rot\"", "", "#0000ff", "defect", ""),
        (4, "dust", "", "#aaaaaa", "not a defect", ""),
        (5, "unclear", "", "#bbbbbb", "ignored", ""),
        (7, "unused", "", "#cccccc", "defect", ""),
    ],
    columns=list(CLASS_COLUMNS),
)
REGIONS = pd.DataFrame(
    [
        # Two components and a hole; partly outside; no anomalous pixel; touching the edges.
        (10, "a/b", 4, 4, 44, 44, 1, 0.9, True),
        (11, "a/b", 60, 40, 100, 80, 2, 0.8, True),
        (12, "c d", -20, -20, 10, 10, 3, 0.7, True),
        (13, "c d", 40, 20, 60, 40, 2, np.nan, True),
        (14, NAMES[2], 0, 0, 80, 60, 1, 0.5, True),
        (15, "=1+1", 10, 10, 30, 30, 3, 0.5, False),
        (16, "v1.2", 10, 10, 30, 30, 2, 0.5, True),
        (17, "100%", 10, 10, 30, 30, 1, 0.5, True),
        (18, "v1.2", 50, 10, 70, 30, 0, 0.5, True),
        (19, "v1.2", 50, 30, 70, 50, 4, 0.5, True),
        (20, "=1+1", 50, 30, 70, 50, 5, 0.5, True),
    ],
    columns=["id", "name", *("left", "top", "right", "bottom"), "class_id", "confidence", "confirmed"],
)
DEFECTS = (10, 11, 12, 13, 14, 15, 16, 17)
UNCONFIRMED = 15


def mask_of(name: str) -> NDArray[np.bool_]:
    """The mask of an image, at half its size."""
    mask = np.zeros((HEIGHT // 2, WIDTH // 2), np.bool_)
    if name == "a/b":
        mask[3:12, 3:9] = True
        mask[5:8, 5:7] = False
        mask[13, 15:20] = mask[18:20, 10] = True
        mask[25:, 33:] = np.eye(5, 7, dtype=np.bool_)
    elif name == "c d":
        mask[:3, :2] = True
    elif name == NAMES[2]:
        mask[::29, :] = mask[:, ::39] = True
    elif name != "empty":
        mask[6:10, 7:13] = mask[7:9, 28:33] = mask[18:20, 28:33] = True
    return mask


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledRegions:
    noise = np.random.default_rng(0)
    paths = []
    for name in NAMES:
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(path)
        paths.append(str(path))
    images = pd.DataFrame({"name": NAMES, "path": paths, "height": HEIGHT, "width": WIDTH})
    regions = REGIONS.assign(
        class_name=REGIONS["class_id"].map(dict(zip(CLASSES["id"], CLASSES["name"], strict=True))),
        score=0.5,
    )
    return LabelledRegions(images, regions, CLASSES, mask_of)


def classes_of(ids: tuple[int, ...], labelled: LabelledRegions) -> dict[int, str]:
    table = labelled.regions.set_index("id")["class_name"]
    return {number: str(table[number]) for number in ids}


def read_back(labelled: LabelledRegions, folder: Path) -> dict[int, str]:
    rows = read_labels(folder, labelled.images)
    matched = match_regions(rows, labelled.regions, marked_boxes(labelled))
    assert matched.unmatched.empty, matched.summary
    return dict(zip(matched.labels["id"], matched.labels["class_name"], strict=True))


@pytest.mark.parametrize("format", LABEL_FORMATS)
def test_every_region_gets_its_class_back(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    write_labels(labelled, format, tmp_path / "out")
    expected = classes_of(DEFECTS, labelled)
    if format == "label-studio":
        del expected[UNCONFIRMED]  # A prediction is not what a person said.
    if format == "csv":
        expected = classes_of(tuple(REGIONS["id"]), labelled)
    assert read_back(labelled, tmp_path / "out") == expected


@pytest.mark.parametrize("format", ["coco", "cvat", "fiftyone", "label-studio", "voc", "yolo"])
def test_boxes_are_those_of_the_anomalous_pixels(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    write_labels(labelled, format, tmp_path / "out")
    rows = read_labels(tmp_path / "out", labelled.images)
    boxes = dict(zip(labelled.regions["id"], marked_boxes(labelled), strict=True))
    assert boxes[10].tolist() == [6, 6, 40, 40]
    assert boxes[11].tolist() == [66, 50, 76, 60]
    assert boxes[12].tolist() == [0, 0, 4, 6]
    assert boxes[13].tolist() == [40, 20, 60, 40]
    for number in set(DEFECTS) - {UNCONFIRMED}:
        region = labelled.regions.set_index("id").loc[number]
        same = rows[(rows["name"] == region["name"]) & (rows["class_name"] == region["class_name"])]
        found = same[["left", "top", "right", "bottom"]].to_numpy(np.float64)
        np.testing.assert_allclose(found, [boxes[number]], atol=0.5)


@pytest.mark.parametrize("format", ["coco", "cvat", "label-studio"])
def test_masks_are_read_back_as_they_were(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    """Holes are filled by polygons only."""
    write_labels(labelled, format, tmp_path / "out")
    file = next(path for path in (tmp_path / "out").iterdir() if path.name != "labels.xml")
    shapes = {name: shapes for name, _, shapes in read_shapes(file, NAMES)}
    for name in ("a/b", NAMES[2], "100%"):
        expected = np.kron(mask_of(name), np.ones((2, 2), np.bool_))
        if name == "100%":
            expected[:, 40:] = False
        if name == "a/b" and format == "coco":
            expected[10:16, 10:14] = True
        if name == NAMES[2] and format == "coco":
            expected[:] = True
        np.testing.assert_array_equal(shapes[name].mask(HEIGHT, WIDTH), expected)


@pytest.mark.parametrize("format", sorted(set(LABEL_FORMATS) - {"csv"}))
def test_regions_that_are_no_defect_are_written_on_request(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    write_labels(labelled, format, tmp_path / "out", normal=True)
    expected = classes_of((*DEFECTS, 18, 19), labelled)
    if format == "label-studio":
        del expected[UNCONFIRMED]
    assert read_back(labelled, tmp_path / "out") == expected


def test_images_without_regions_are_listed(labelled: LabelledRegions, tmp_path: Path) -> None:
    for format in LABEL_FORMATS:
        write_labels(labelled, format, tmp_path / format)

    def load(path: str) -> Any:
        return json.loads((tmp_path / path).read_text(encoding="utf-8"))

    coco = load("coco/annotations.json")
    assert [image["file_name"] for image in coco["images"]] == [f"{name}.png" for name in NAMES]
    assert len(coco["annotations"]) == len(DEFECTS)
    assert [category["name"] for category in coco["categories"]][-1] == "unused"
    assert load("fiftyone/labels.json")["labels"]["empty"] is None
    assert [*load("fiftyone/data.json")] == [f"{name}.png" for name in NAMES]
    assert [*load("label-studio/tasks.json")][-1]["data"]["image"].endswith("empty.png")
    cvat = ET.parse(tmp_path / "cvat/annotations.xml").getroot()
    assert [image.get("name") for image in cvat.iter("image")][-1] == "empty.png"
    assert ET.parse(tmp_path / "voc/Annotations/empty.xml").findall("object") == []
    assert (tmp_path / "yolo/labels/empty.txt").read_text() == ""
    assert (tmp_path / "yolo/images/empty.png").is_file()
    names = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))["names"]
    assert names == {0: "Scratch", 1: "scratch", 2: CLASSES["name"][3], 3: "unused"}


def test_formulas_are_guarded(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "csv", tmp_path / "out")
    assert ",'=1+1," in (tmp_path / "out/labels.csv").read_text(encoding="utf-8-sig")


def test_class_folders_differ_on_any_system(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "folders", tmp_path / "out")
    folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert folders == [
        *("Scratch", "scratch (class 2)", "unused"),
        "\u00f6lig %3C& %22rot%22",
    ]
    crop = Image.open(tmp_path / "out/scratch (class 2)/a%2Fb--region-11.png")
    assert crop.size == (20, 20)
    assert np.array_equal(crop, np.array(Image.open(tmp_path / "photos/a/b.png"))[40:60, 60:80])


def test_a_crop_that_a_person_moved_has_the_class_of_its_new_folder(
    labelled: LabelledRegions, tmp_path: Path
) -> None:
    write_labels(labelled, "folders", tmp_path / "out")
    crop = tmp_path / "out/Scratch/a%2Fb--region-10.png"
    (tmp_path / "out/new kind").mkdir()
    crop.rename(tmp_path / "out/new kind" / crop.name)
    assert read_back(labelled, tmp_path / "out")[10] == "new kind"


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_is_there_is_not_overwritten(
    labelled: LabelledRegions, content: str, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    if content == "folder":
        place.mkdir()
        place /= "notes.txt"
    place.write_text("mine")
    with pytest.raises(InputError, match="name a new or empty folder"):
        write_labels(labelled, "coco", tmp_path / "out")
    assert place.read_text() == "mine"


def test_an_unknown_format_is_refused(labelled: LabelledRegions, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'tfrecord' is not known; choose one of csv, coco"):
        write_labels(labelled, "tfrecord", tmp_path / "out")


def test_nothing_remains_where_an_image_is_missing(
    labelled: LabelledRegions, tmp_path: Path
) -> None:
    (tmp_path / "photos/empty.png").unlink()
    with pytest.raises(InputError, match="the file of image 'empty' is not at"):
        write_labels(labelled, "yolo", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_predictions_alone_are_no_labels(labelled: LabelledRegions, tmp_path: Path) -> None:
    regions = labelled.regions.assign(confirmed=False)
    found = LabelledRegions(labelled.images, regions, labelled.classes, mask_of)
    write_labels(found, "label-studio", tmp_path / "out")
    with pytest.raises(InputError, match="holds predictions, but no annotation of a person"):
        read_labels(tmp_path / "out", labelled.images)
